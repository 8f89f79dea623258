// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accounts of users and control groups, in one tree by key.
 *
 * A group's account holds that of the group above, so to charge means to look two accounts up and
 * to go up from there; limits of all groups above count.
 */
#include <linux/cgroup.h>
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include <uapi/peerdma/ioctl.h>

#include "accounts.h"

static DEFINE_SPINLOCK(lock);
static struct rb_root tree = RB_ROOT;

static int compare(const struct pdk_key *a, const struct pdk_key *b)
{
	if (a->scope != b->scope)
		return a->scope < b->scope ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return 0;
}

static struct pdk_account *find_locked(const struct pdk_key *key)
{
	struct rb_node *n = tree.rb_node;

	while (n) {
		struct pdk_account *a = rb_entry(n, struct pdk_account, node);
		int order = compare(key, &a->key);

		if (!order)
			return a;
		n = order < 0 ? n->rb_left : n->rb_right;
	}
	return NULL;
}

static void insert_locked(struct pdk_account *new)
{
	struct rb_node **link = &tree.rb_node, *parent = NULL;

	while (*link) {
		struct pdk_account *a = rb_entry(*link, struct pdk_account, node);

		parent = *link;
		link = compare(&new->key, &a->key) < 0 ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&new->node, parent, link);
	rb_insert_color(&new->node, &tree);
}

static void put_locked(struct pdk_account *a)
{
	while (a && !--a->refs) {
		struct pdk_account *parent = a->parent;

		rb_erase(&a->node, &tree);
		kfree(a);
		a = parent;
	}
}

static void put(struct pdk_account *a)
{
	spin_lock(&lock);
	put_locked(a);
	spin_unlock(&lock);
}

static struct pdk_account *find_get(const struct pdk_key *key)
{
	struct pdk_account *a;

	spin_lock(&lock);
	a = find_locked(key);
	if (a)
		a->refs++;
	spin_unlock(&lock);
	return a;
}

/* Takes over the caller's hold of parent. Return: held, or NULL and parent is not held. */
static struct pdk_account *get_or_make(const struct pdk_key *key, struct pdk_account *parent,
				       gfp_t gfp)
{
	struct pdk_account *new = kzalloc(sizeof(*new), gfp), *a;

	spin_lock(&lock);
	a = find_locked(key);
	if (!a && new) {
		new->key = *key;
		new->parent = parent;
		new->max = PDK_NO_LIMIT;
		insert_locked(new);
		a = new;
		parent = new = NULL;
	}
	if (a)
		a->refs++;
	put_locked(parent);
	spin_unlock(&lock);
	kfree(new);
	return a;
}

static struct pdk_account *get_user_account(u32 uid, gfp_t gfp)
{
	const struct pdk_key key = { PEERDMA_SCOPE_USER, uid };

	return find_get(&key) ?: get_or_make(&key, NULL, gfp);
}

/* From the top down, as each holds the one above. The group is held, and so are all above it. */
static struct pdk_account *get_group_account(struct cgroup *cgroup, gfp_t gfp)
{
	struct pdk_key key = { PEERDMA_SCOPE_CGROUP, cgroup_id(cgroup) };
	struct pdk_account *a = find_get(&key);

	if (a)
		return a;
	for (int level = 0; level <= cgroup->level; level++) {
		key.id = cgroup_id(cgroup_ancestor(cgroup, level));
		a = get_or_make(&key, a, gfp);
		if (!a)
			return NULL;
	}
	return a;
}

int pdk_purse_get(struct pdk_purse *ret, u32 uid, struct cgroup *cgroup, gfp_t gfp)
{
	ret->user = get_user_account(uid, gfp);
	if (!ret->user)
		return -ENOMEM;
	ret->group = get_group_account(cgroup, gfp);
	if (ret->group)
		return 0;
	put(ret->user);
	ret->user = NULL;
	return -ENOMEM;
}

void pdk_purse_copy(struct pdk_purse *ret, const struct pdk_purse *from)
{
	spin_lock(&lock);
	*ret = *from;
	ret->user->refs++;
	ret->group->refs++;
	spin_unlock(&lock);
}

void pdk_purse_put(struct pdk_purse *purse)
{
	spin_lock(&lock);
	put_locked(purse->user);
	put_locked(purse->group);
	spin_unlock(&lock);
}

static bool has_room(const struct pdk_account *a, u64 bytes)
{
	return a->used <= a->max && bytes <= a->max - a->used;
}

/* Return: who refuses, or NULL. */
static struct pdk_account *find_refusing_locked(struct pdk_purse *purse, u64 bytes)
{
	if (!has_room(purse->user, bytes))
		return purse->user;
	for (struct pdk_account *a = purse->group; a; a = a->parent)
		if (!has_room(a, bytes))
			return a;
	return NULL;
}

static void read_locked(const struct pdk_account *a, struct pdk_state *ret)
{
	*ret = (struct pdk_state){ a->key, a->used, a->max, a->refused };
}

/* Once in a second is enough, else one user could push all other events out of the queues. */
static void refuse_locked(struct pdk_account *a, struct pdk_state *ret_state, bool *ret_tell)
{
	*ret_tell = !a->refused++ || time_after(jiffies, a->told + HZ);
	if (*ret_tell)
		a->told = jiffies;
	read_locked(a, ret_state);
}

static void add_locked(struct pdk_purse *purse, u64 bytes)
{
	purse->user->used += bytes;
	for (struct pdk_account *a = purse->group; a; a = a->parent)
		a->used += bytes;
}

int pdk_purse_charge(struct pdk_purse *purse, u64 bytes, bool force, struct pdk_state *ret_state,
		     bool *ret_tell)
{
	struct pdk_account *refusing = NULL;

	spin_lock(&lock);
	if (!force && bytes)
		refusing = find_refusing_locked(purse, bytes);
	if (refusing)
		refuse_locked(refusing, ret_state, ret_tell);
	else
		add_locked(purse, bytes);
	spin_unlock(&lock);
	return refusing ? -EDQUOT : 0;
}

void pdk_purse_uncharge(struct pdk_purse *purse, u64 bytes)
{
	spin_lock(&lock);
	add_locked(purse, -bytes);
	spin_unlock(&lock);
}

int pdk_limit_set(u32 uid, struct cgroup *cgroup, u64 max)
{
	struct pdk_account *a =
		cgroup ? get_group_account(cgroup, GFP_KERNEL) : get_user_account(uid, GFP_KERNEL);

	if (!a)
		return -ENOMEM;
	spin_lock(&lock);
	a->max = max;
	/* What was refused by another limit does not count, and the next is told of at once. */
	a->refused = 0;
	if (a->limited)
		put_locked(a);
	a->limited = true;
	spin_unlock(&lock);
	return 0;
}

static void clear_locked(struct pdk_account *a)
{
	a->max = PDK_NO_LIMIT;
	a->limited = false;
	put_locked(a);
}

int pdk_limit_clear(const struct pdk_key *key)
{
	struct pdk_account *a;
	int ret = -ENOENT;

	spin_lock(&lock);
	a = find_locked(key);
	if (a && a->limited) {
		clear_locked(a);
		ret = 0;
	}
	spin_unlock(&lock);
	return ret;
}

/* From the start each time: with an account others may go. */
static struct pdk_account *find_limited_locked(void)
{
	for (struct rb_node *n = rb_first(&tree); n; n = rb_next(n)) {
		struct pdk_account *a = rb_entry(n, struct pdk_account, node);

		if (a->limited)
			return a;
	}
	return NULL;
}

void pdk_limit_clear_all(void)
{
	struct pdk_account *a;

	spin_lock(&lock);
	while ((a = find_limited_locked()))
		clear_locked(a);
	spin_unlock(&lock);
}

bool pdk_account_read(const struct pdk_key *key, struct pdk_state *ret)
{
	struct pdk_account *a;

	spin_lock(&lock);
	a = find_locked(key);
	if (a)
		read_locked(a, ret);
	spin_unlock(&lock);
	return a;
}

bool pdk_account_next(const struct pdk_key *key, struct pdk_state *ret)
{
	struct pdk_account *best = NULL;

	spin_lock(&lock);
	for (struct rb_node *n = tree.rb_node; n;) {
		struct pdk_account *a = rb_entry(n, struct pdk_account, node);

		if (compare(&a->key, key) < 0) {
			n = n->rb_right;
			continue;
		}
		best = a;
		n = n->rb_left;
	}
	if (best && best->key.scope == key->scope)
		read_locked(best, ret);
	else
		best = NULL;
	spin_unlock(&lock);
	return best;
}
