// SPDX-License-Identifier: GPL-2.0-only
/* The requests about limits. */
#include <linux/capability.h>
#include <linux/cgroup.h>
#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/user_namespace.h>

#include "accounts.h"
#include "list.h"
#include "peerdma.h"

static bool is_in_group(u64 id)
{
	struct cgroup *cgroup;
	bool found = false;

	rcu_read_lock();
	cgroup = task_dfl_cgroup(current);
	for (int level = 0; level <= cgroup->level && !found; level++)
		found = cgroup_id(cgroup_ancestor(cgroup, level)) == id;
	rcu_read_unlock();
	return found;
}

static bool may_see(const struct pdk_key *key, bool all)
{
	if (all)
		return true;
	if (key->scope == PEERDMA_SCOPE_CGROUP)
		return is_in_group(key->id);
	return key->id == __kuid_val(current_uid());
}

/* Whom the caller means. Return: 0; -EINVAL. */
static int find_key(const struct peerdma_limit *limit, struct pdk_key *ret_key)
{
	kuid_t uid;

	*ret_key = (struct pdk_key){ limit->scope, limit->id };
	if (limit->scope == PEERDMA_SCOPE_CGROUP)
		return 0;
	if (limit->scope != PEERDMA_SCOPE_USER || limit->id > U32_MAX)
		return -EINVAL;
	uid = make_kuid(current_user_ns(), limit->id);
	ret_key->id = __kuid_val(uid);
	return uid_valid(uid) ? 0 : -EINVAL;
}

static void fill(struct peerdma_limit *limit, const struct pdk_state *state)
{
	limit->max = state->max;
	limit->used = state->used;
	limit->refused = state->refused;
}

static int take(struct peerdma_limit *limit, void __user *arg, struct pdk_key *ret_key)
{
	int ret = pdk_copy_in(limit, sizeof(*limit), arg, PEERDMA_LIMIT_SIZE_V1);

	if (ret)
		return ret;
	if (limit->flags || limit->reserved || limit->used || limit->refused)
		return -EINVAL;
	return find_key(limit, ret_key);
}

/* The same, for who wants to change it. */
static int take_to_change(struct peerdma_limit *limit, void __user *arg, struct pdk_key *ret_key)
{
	return capable(CAP_SYS_ADMIN) ? take(limit, arg, ret_key) : -EPERM;
}

/* Held, or an error. */
static struct cgroup *get_group(u64 id)
{
	struct cgroup *cgroup = cgroup_get_from_id(id);

	return IS_ERR(cgroup) ? ERR_PTR(-ENOENT) : cgroup;
}

int pdk_ioctl_limit_set(void __user *arg)
{
	struct peerdma_limit limit;
	struct cgroup *cgroup;
	struct pdk_key key;
	int ret = take_to_change(&limit, arg, &key);

	if (ret)
		return ret;
	if (limit.max == PEERDMA_NO_LIMIT)
		return -EINVAL;
	if (key.scope == PEERDMA_SCOPE_USER)
		return pdk_limit_set(key.id, NULL, limit.max);
	cgroup = get_group(key.id);
	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup);
	ret = pdk_limit_set(0, cgroup, limit.max);
	cgroup_put(cgroup);
	return ret;
}

/* Nothing is charged and no limit set: does the group exist at all? */
static int check_group(const struct pdk_key *key)
{
	struct cgroup *cgroup;

	if (key->scope != PEERDMA_SCOPE_CGROUP)
		return 0;
	cgroup = get_group(key->id);
	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup);
	cgroup_put(cgroup);
	return 0;
}

int pdk_ioctl_limit_get(void __user *arg)
{
	struct pdk_state state = { .max = PDK_NO_LIMIT };
	struct peerdma_limit limit;
	struct pdk_key key;
	int ret;

	ret = take(&limit, arg, &key);
	if (ret)
		return ret;
	if (limit.max)
		return -EINVAL;
	if (!may_see(&key, capable(CAP_SYS_ADMIN)))
		return -EPERM;
	if (!pdk_account_read(&key, &state)) {
		ret = check_group(&key);
		if (ret)
			return ret;
	}
	fill(&limit, &state);
	return pdk_copy_out(arg, &limit, sizeof(limit));
}

int pdk_ioctl_limit_clear(void __user *arg)
{
	struct peerdma_limit limit;
	struct pdk_key key;
	int ret = take_to_change(&limit, arg, &key);

	if (ret)
		return ret;
	return limit.max ? -EINVAL : pdk_limit_clear(&key);
}

static int list_limit(struct pdk_list *l, const struct pdk_state *state)
{
	struct peerdma_limit row = { .scope = state->key.scope, .id = state->key.id };

	row.size = min_t(u32, l->req.row_size, sizeof(row));
	if (row.scope == PEERDMA_SCOPE_USER)
		row.id = from_kuid_munged(current_user_ns(), KUIDT_INIT(state->key.id));
	fill(&row, state);
	/* From 1, as there is a user 0 and a cursor of 0 means the end. */
	return pdk_list_row(l, state->key.id + 1, &row, sizeof(row));
}

int pdk_ioctl_limits(void __user *arg)
{
	bool all = capable(CAP_SYS_ADMIN);
	struct pdk_state state;
	struct pdk_key key;
	struct pdk_list l;
	int ret;

	ret = pdk_list_begin(&l, arg, PEERDMA_LIMIT_SIZE_V1);
	if (ret)
		return ret;
	if (l.req.scope != PEERDMA_SCOPE_USER && l.req.scope != PEERDMA_SCOPE_CGROUP)
		return -EINVAL;
	key = (struct pdk_key){ l.req.scope, l.req.cursor ? l.req.cursor - 1 : 0 };
	while (!ret && pdk_account_next(&key, &state)) {
		if (may_see(&state.key, all))
			ret = list_limit(&l, &state);
		key.id = state.key.id + 1;
		cond_resched();
	}
	return ret ?: pdk_list_end(&l);
}
