// SPDX-License-Identifier: MIT
#include "klog.h"

#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int klog_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void klog_pass_on(int klog_fd, int port)
{
	/* "4" is the level of a warning; the launcher treats a lost record as one. */
	static const char lost[] = "4,0,0,-;peerdma-lab: kernel log records were lost\n";
	char record[8192];
	ssize_t n;

	for (;;) {
		n = read(klog_fd, record, sizeof(record));
		if (n > 0)
			frame_send(port, FRAME_KLOG, 0, record, (size_t)n);
		else if (n < 0 && errno == EPIPE)
			frame_send(port, FRAME_KLOG, 0, lost, strlen(lost));
		else if (n == 0 || errno != EINTR)
			return;
	}
}
