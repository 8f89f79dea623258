// SPDX-License-Identifier: MIT
/*
 * MSI-X: an eventfd a vector, and a pending bit for each that was raised while not armed.
 *
 * A reset moves the device's generation on before it takes the lock here (mdl_irq_reset), so what
 * is raised for a generation is either done by then or finds, under the lock, that it is too late.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/common/internal.h"

void mdl_irq_init(struct mdl_device *dev)
{
	unsigned i;

	pthread_mutex_init(&dev->irq.lock, NULL);
	for (i = 0; i < MDL_MAX_VECTORS; i++)
		dev->irq.fd[i] = -1;
	dev->irq.err_fd = -1;
}

static bool pending(const struct mdl_irq *irq, unsigned vec)
{
	return irq->pending[vec / 64] >> (vec % 64) & 1;
}

static void set_pending(struct mdl_irq *irq, unsigned vec, bool on)
{
	uint64_t bit = UINT64_C(1) << (vec % 64);

	if (on)
		irq->pending[vec / 64] |= bit;
	else
		irq->pending[vec / 64] &= ~bit;
}

/* An eventfd whose counter is full already tells what we want to tell: EAGAIN is fine. */
static void fire_locked(struct mdl_irq *irq, unsigned vec)
{
	uint64_t one = 1;
	ssize_t n = write(irq->fd[vec], &one, sizeof(one));

	if (n == sizeof(one) || errno == EAGAIN)
		irq->delivered++;
	set_pending(irq, vec, false);
}

/* d NULL: whatever the device's generation is. */
static void raise_for(struct mdl_device *dev, const struct mdl_dma *d, unsigned vec)
{
	struct mdl_irq *irq = &dev->irq;
	struct mdl_fault_hit hit;

	if (vec >= dev->desc.n_vectors) {
		irq->bad_vector++;
		return;
	}
	if (d && !mdl_dma_valid(d))
		return;
	irq->raised++;
	if (mdl_fault_point(dev, MDL_F_IRQ, &hit) && hit.action == MDL_FAULT_DROP)
		return;
	pthread_mutex_lock(&irq->lock);
	if (d && !mdl_dma_valid(d))
		; /* a reset came in between */
	else if (irq->fd[vec] >= 0)
		fire_locked(irq, vec);
	else
		set_pending(irq, vec, true);
	pthread_mutex_unlock(&irq->lock);
}

void mdl_irq_raise(struct mdl_device *dev, unsigned vec)
{
	raise_for(dev, NULL, vec);
}

void mdl_irq_raise_for(const struct mdl_dma *d, unsigned vec)
{
	raise_for(d->dev, d, vec);
}

static void replace_fd(int *slot, int fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

/*
 * An eventfd, or one of its kin without a file type: a write to a pipe or socket of the client's
 * could raise SIGPIPE. And one that can't make us wait, whatever its counter says.
 */
bool mdl_irq_fd_ok(int fd)
{
	struct stat st;
	int flags;

	if (fstat(fd, &st) || st.st_mode & S_IFMT)
		return false;
	flags = fcntl(fd, F_GETFL);
	return flags >= 0 && !fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* Takes over the fds. n_fds is count (arm) or 0 (disarm); the caller checked the range. */
int mdl_irq_set(struct mdl_device *dev, unsigned start, unsigned count, const int *fds,
		unsigned n_fds)
{
	struct mdl_irq *irq = &dev->irq;
	unsigned i;

	if (start > dev->desc.n_vectors || count > dev->desc.n_vectors - start ||
	    (n_fds && n_fds != count))
		return -EINVAL;
	for (i = 0; i < n_fds; i++)
		if (!mdl_irq_fd_ok(fds[i]))
			return -EINVAL;
	pthread_mutex_lock(&irq->lock);
	for (i = 0; i < count; i++) {
		replace_fd(&irq->fd[start + i], n_fds ? fds[i] : -1);
		if (n_fds && pending(irq, start + i))
			fire_locked(irq, start + i);
	}
	pthread_mutex_unlock(&irq->lock);
	return 0;
}

int mdl_irq_trigger(struct mdl_device *dev, unsigned start, unsigned count)
{
	unsigned i;

	if (start > dev->desc.n_vectors || count > dev->desc.n_vectors - start)
		return -EINVAL;
	for (i = 0; i < count; i++)
		mdl_irq_raise(dev, start + i);
	return 0;
}

void mdl_irq_disarm_all(struct mdl_device *dev)
{
	unsigned i;

	pthread_mutex_lock(&dev->irq.lock);
	for (i = 0; i < MDL_MAX_VECTORS; i++)
		replace_fd(&dev->irq.fd[i], -1);
	replace_fd(&dev->irq.err_fd, -1);
	pthread_mutex_unlock(&dev->irq.lock);
}

void mdl_irq_reset(struct mdl_device *dev)
{
	pthread_mutex_lock(&dev->irq.lock);
	memset(dev->irq.pending, 0, sizeof(dev->irq.pending));
	pthread_mutex_unlock(&dev->irq.lock);
}

void mdl_irq_read_pba(struct mdl_device *dev, uint64_t off, void *buf, size_t len)
{
	pthread_mutex_lock(&dev->irq.lock);
	memset(buf, 0, len);
	if (off < sizeof(dev->irq.pending)) {
		size_t n = sizeof(dev->irq.pending) - (size_t)off;

		memcpy(buf, (const uint8_t *)dev->irq.pending + off, n < len ? n : len);
	}
	pthread_mutex_unlock(&dev->irq.lock);
}
