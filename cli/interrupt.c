// SPDX-License-Identifier: MIT
#include "cli/cli.h"

#include <signal.h>

static volatile sig_atomic_t came;

static void note(int sig)
{
	came = sig;
}

void cli_interrupt_catch(void)
{
	/* No SA_RESTART: a blocking call has to return. One shot: the second one kills. */
	struct sigaction action = { .sa_handler = note, .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
	return came;
}

int cli_interrupt_signal(void)
{
	return came;
}
