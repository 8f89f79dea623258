/* SPDX-License-Identifier: MIT */
/* All of libpeerdma. docs/libpeerdma.md is the way in. */
#ifndef PEERDMA_PEERDMA_H
#define PEERDMA_PEERDMA_H

#include <peerdma/context.h>
#include <peerdma/event.h>
#include <peerdma/nvme.h>
#include <peerdma/path.h>
#include <peerdma/pins.h>
#include <peerdma/region.h>
#include <peerdma/registration.h>
#include <peerdma/serve.h>
#include <peerdma/topo.h>
#include <peerdma/transfer.h>

#endif
