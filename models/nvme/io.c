// SPDX-License-Identifier: MIT
/*
 * Commands of the NVM Command Set. Reads go from the file straight into the memory the door shows,
 * writes from there into the cache. The door holds the node's lock meanwhile, so neither waits for
 * the host's disk: what the page cache of the host does not have is read without the door first.
 */
#include <errno.h>
#include <string.h>

#include "models/nvme/internal.h"

#define ALL_NS	   0xffffffffu
#define MAX_RANGES 256u

struct nvme_ns *nvme_ns(struct nvme *c, uint32_t nsid)
{
	return nsid && nsid <= c->n_ns ? &c->ns[nsid - 1] : NULL;
}

static uint16_t bad(struct nvme_cmd *cmd, uint16_t where, uint16_t sc)
{
	cmd->where = where;
	return NVME_BAD(sc);
}

/* Blocks of a command with SLBA in CDW10 and 11, NLB in CDW12. */
struct blocks {
	uint64_t slba, n;
};

static uint16_t get_blocks(struct nvme_cmd *cmd, const struct nvme_ns *ns, struct blocks *b)
{
	b->slba = cmd->sqe.cdw10 | (uint64_t)cmd->sqe.cdw11 << 32;
	b->n = (cmd->sqe.cdw12 & 0xffff) + 1;
	cmd->lba = b->slba;
	if (b->slba > ns->blocks || b->n > ns->blocks - b->slba)
		return bad(cmd, 40, NVME_SC_LBA_RANGE);
	return 0;
}

/* And with data, which may not be more than MDTS. */
static uint16_t get_data_blocks(struct nvme_cmd *cmd, const struct nvme_ns *ns, struct blocks *b)
{
	if (((uint64_t)(cmd->sqe.cdw12 & 0xffff) + 1) << ns->shift > NVME_MAX_DATA)
		return bad(cmd, 48, NVME_SC_BAD_FIELD);
	return get_blocks(cmd, ns, b);
}

static uint16_t media_failed(struct nvme *c, uint16_t sc)
{
	c->media_errors++;
	mdl_count(c->dev, NVME_C_MEDIA_ERRORS);
	return sc;
}

static bool struck(struct nvme *c, enum nvme_fault point)
{
	return nvme_fault(c, point).action == MDL_FAULT_ERROR;
}

/* ---- moving data ---- */

/* Where a command stands; what fn of a visit gets. */
struct mover {
	struct nvme *c;
	struct nvme_ns *ns;
	uint64_t start, pos, end;
	bool slow;     /* the rest must be read without the door */
	int media_err; /* the medium's, as opposed to the door's */
	bool differs;
};

static int from_media(void *arg, void *mem, size_t len)
{
	struct mover *m = arg;
	int err = nvme_media_peek(m->ns, m->pos, mem, len);

	m->slow = err == -EAGAIN;
	m->media_err = m->slow ? 0 : err;
	m->pos += err ? 0 : len;
	return err;
}

static int to_cache(void *arg, void *mem, size_t len)
{
	struct mover *m = arg;

	nvme_media_cache(m->ns, m->pos, mem, len);
	m->pos += len;
	return 0;
}

/* The bounce buffer has what the medium has. */
static int compare(void *arg, void *mem, size_t len)
{
	struct mover *m = arg;

	m->differs = m->differs || memcmp(mem, m->c->bounce + (m->pos - m->start), len) != 0;
	m->pos += len;
	return 0;
}

/* Return: 0, a status of the door, or an unrecovered read. */
static uint16_t move(struct mover *m, bool to_memory, mdl_visit_fn fn)
{
	const struct mdl_seg *s = m->c->list.seg, *end = s + m->c->list.n;
	int err = 0;

	for (; s < end && !err; s++)
		err = mdl_dma_visit(&m->c->dma, s, to_memory, MDL_DATA, fn, m);
	if (m->media_err)
		return media_failed(m->c, NVME_SC_READ_ERROR);
	return err && !m->slow ? nvme_dma_status(err) : 0;
}

/* From pos on, through the bounce buffer. */
static uint16_t read_slowly(struct mover *m)
{
	const struct mdl_seg *s = m->c->list.seg, *end = s + m->c->list.n;
	uint64_t skip = m->pos - m->start, n;
	const uint8_t *from = m->c->bounce;
	int err = 0;

	mdl_count(m->c->dev, NVME_C_SLOW);
	if (nvme_media_read(m->ns, m->pos, m->c->bounce, m->end - m->pos))
		return media_failed(m->c, NVME_SC_READ_ERROR);
	for (; s < end && !err; s++) {
		if (skip >= s->len) {
			skip -= s->len;
			continue;
		}
		n = s->len - skip;
		err = mdl_dma_write(&m->c->dma, s->space, s->addr + skip, from, n, MDL_DATA);
		from += n;
		skip = 0;
	}
	return err ? nvme_dma_status(err) : 0;
}

static struct mover mover(struct nvme *c, struct nvme_ns *ns, const struct blocks *b)
{
	uint64_t pos = b->slba << ns->shift;

	return (struct mover){
		.c = c, .ns = ns, .start = pos, .pos = pos, .end = pos + (b->n << ns->shift)
	};
}

/* ---- commands ---- */

static uint16_t do_read(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns)
{
	struct blocks b;
	uint16_t status = get_data_blocks(cmd, ns, &b);
	struct mover m;

	mdl_count(c->dev, NVME_C_READ);
	if (status)
		return status;
	if (nvme_media_bad(ns, b.slba, b.n) || struck(c, NVME_FP_MEDIA_READ))
		return media_failed(c, NVME_SC_READ_ERROR);
	m = mover(c, ns, &b);
	cmd->bytes = b.n << ns->shift;
	status = nvme_map_data(c, &cmd->sqe, cmd->bytes);
	if (!status)
		status = move(&m, true, from_media);
	if (!status && m.slow)
		status = read_slowly(&m);
	if (!status) {
		c->reads++;
		c->units_read += cmd->bytes >> 9;
	}
	return status;
}

/* Blocks count as newer than the file's when all of them are there. */
static uint16_t write_cached(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns,
			     struct mover *m, const struct blocks *b)
{
	uint16_t status;

	if (nvme_media_make_room(c, ns, cmd->bytes))
		return media_failed(c, NVME_SC_WRITE_FAULT);
	status = move(m, false, to_cache);
	if (status)
		return status;
	nvme_media_cached(ns, b->slba, b->n);
	return 0;
}

/* Durable before it is complete. */
static uint16_t write_through(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns,
			      struct mover *m, const struct blocks *b)
{
	uint16_t status = write_cached(c, cmd, ns, m, b);

	if (status)
		return status;
	if (nvme_media_write_through(c, ns, b->slba, b->n))
		return media_failed(c, NVME_SC_WRITE_FAULT);
	return nvme_sync_start(c, cmd, ns) ? NVME_LATER : NVME_SC_INTERNAL;
}

static uint16_t do_write(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns)
{
	struct blocks b;
	uint16_t status = get_data_blocks(cmd, ns, &b);
	struct mover m;

	mdl_count(c->dev, NVME_C_WRITE);
	if (!status && cmd->sqe.cdw12 >> 20 & 0xf) /* DTYPE: no directives */
		status = bad(cmd, 50, NVME_SC_BAD_FIELD);
	if (status)
		return status;
	if (struck(c, NVME_FP_MEDIA_WRITE))
		return media_failed(c, NVME_SC_WRITE_FAULT);
	m = mover(c, ns, &b);
	cmd->bytes = b.n << ns->shift;
	status = nvme_map_data(c, &cmd->sqe, cmd->bytes);
	if (status)
		return status;
	status = cmd->sqe.cdw12 & NVME_RW_FUA || !c->f_write_cache ?
			 write_through(c, cmd, ns, &m, &b) :
			 write_cached(c, cmd, ns, &m, &b);
	if (!status)
		mdl_count_add(c->dev, NVME_C_CACHED, cmd->bytes);
	if (!status || status == NVME_LATER) {
		c->writes++;
		c->units_written += cmd->bytes >> 9;
	}
	return status;
}

static uint16_t do_compare(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns)
{
	struct blocks b;
	uint16_t status = get_data_blocks(cmd, ns, &b);
	struct mover m;

	mdl_count(c->dev, NVME_C_COMPARE);
	if (status)
		return status;
	if (nvme_media_bad(ns, b.slba, b.n))
		return media_failed(c, NVME_SC_READ_ERROR);
	m = mover(c, ns, &b);
	cmd->bytes = b.n << ns->shift;
	status = nvme_map_data(c, &cmd->sqe, cmd->bytes);
	if (status)
		return status;
	if (nvme_media_read(ns, m.start, c->bounce, cmd->bytes))
		return media_failed(c, NVME_SC_READ_ERROR);
	status = move(&m, false, compare);
	return status || !m.differs ? status : NVME_BAD(NVME_SC_COMPARE);
}

static uint16_t do_verify(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns)
{
	struct blocks b;
	uint16_t status = get_data_blocks(cmd, ns, &b);

	mdl_count(c->dev, NVME_C_VERIFY);
	if (status)
		return status;
	cmd->bytes = b.n << ns->shift;
	if (nvme_media_bad(ns, b.slba, b.n) || struck(c, NVME_FP_MEDIA_READ) ||
	    nvme_media_read(ns, b.slba << ns->shift, c->bounce, cmd->bytes))
		return media_failed(c, NVME_SC_READ_ERROR);
	return 0;
}

/* Zeroes go to the file at once; the cache forgets what it had. */
static uint16_t do_zeroes(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns)
{
	struct blocks b;
	uint16_t status = get_blocks(cmd, ns, &b);

	mdl_count(c->dev, NVME_C_ZEROES);
	if (status)
		return status;
	if (struck(c, NVME_FP_MEDIA_WRITE) || nvme_media_zero(ns, b.slba, b.n))
		return media_failed(c, NVME_SC_WRITE_FAULT);
	if (cmd->sqe.cdw12 & NVME_RW_FUA || !c->f_write_cache)
		return nvme_sync_start(c, cmd, ns) ? NVME_LATER : NVME_SC_INTERNAL;
	return 0;
}

static uint16_t do_uncorrectable(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns)
{
	struct blocks b;
	uint16_t status = get_blocks(cmd, ns, &b);

	mdl_count(c->dev, NVME_C_UNCORRECTABLE);
	if (!status)
		nvme_media_spoil(ns, b.slba, b.n);
	return status;
}

static uint16_t deallocate(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns,
			   const struct nvme_dsm_range *r, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		cmd->lba = r[i].slba;
		if (r[i].slba > ns->blocks || r[i].nlb > ns->blocks - r[i].slba)
			return NVME_BAD(NVME_SC_LBA_RANGE);
	}
	for (i = 0; i < n; i++)
		if (nvme_media_zero(ns, r[i].slba, r[i].nlb))
			return media_failed(c, NVME_SC_WRITE_FAULT);
	return 0;
}

/* Other attributes are hints, which change nothing here. */
static uint16_t do_dsm(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns)
{
	struct nvme_dsm_range r[MAX_RANGES];
	unsigned n = (cmd->sqe.cdw10 & 0xff) + 1;
	uint16_t status;

	mdl_count(c->dev, NVME_C_DSM);
	status = nvme_receive(c, &cmd->sqe, r, n * sizeof(*r));
	if (status || !(cmd->sqe.cdw11 & NVME_DSM_DEALLOCATE))
		return status;
	return deallocate(c, cmd, ns, r, n);
}

static uint16_t do_flush(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns)
{
	unsigned first = ns ? ns->id - 1 : 0, last = ns ? ns->id : c->n_ns;

	mdl_count(c->dev, NVME_C_FLUSH);
	return nvme_flush_start(c, cmd, first, last) ? NVME_LATER : NVME_SC_INTERNAL;
}

static const struct command {
	uint16_t (*run)(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns *ns);
	bool all; /* may be for all namespaces; run gets NULL then */
	bool writes;
} commands[256] = {
	[NVME_FLUSH] = { do_flush, true, true },
	[NVME_WRITE] = { do_write, false, true },
	[NVME_READ] = { do_read, false, false },
	[NVME_WRITE_UNCORRECTABLE] = { do_uncorrectable, false, true },
	[NVME_COMPARE] = { do_compare, false, false },
	[NVME_WRITE_ZEROES] = { do_zeroes, false, true },
	[NVME_DSM] = { do_dsm, false, true },
	[NVME_VERIFY] = { do_verify, false, false },
};

bool nvme_io_known(unsigned opc)
{
	return opc < 256 && commands[opc].run;
}

bool nvme_io_writes(unsigned opc)
{
	return nvme_io_known(opc) && commands[opc].writes && opc != NVME_FLUSH;
}

uint16_t nvme_io(struct nvme *c, struct nvme_cmd *cmd)
{
	const struct command *io = &commands[cmd->sqe.opc];
	struct nvme_ns *ns = nvme_ns(c, cmd->sqe.nsid);

	if (!io->run)
		return bad(cmd, 0, NVME_SC_BAD_OPCODE);
	if (!ns && !(io->all && cmd->sqe.nsid == ALL_NS))
		return bad(cmd, 4, NVME_SC_BAD_NS);
	return io->run(c, cmd, ns);
}
