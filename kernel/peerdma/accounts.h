/* SPDX-License-Identifier: GPL-2.0-only */
/* What a user or a control group has, and may have. */
#ifndef PEERDMA_KERNEL_ACCOUNTS_H
#define PEERDMA_KERNEL_ACCOUNTS_H

#include <linux/gfp_types.h>
#include <linux/rbtree.h>
#include <linux/types.h>

struct cgroup;

#define PDK_NO_LIMIT U64_MAX

/* Whose account it is. */
struct pdk_key {
	u32 scope; /* enum peerdma_scope */
	u64 id;	   /* uid in the first user namespace, or id of the control group */
};

/*
 * It exists as long as something is charged to it, or to a group below, or a limit is set. All but
 * key and parent belong to the lock of accounts.c.
 */
struct pdk_account {
	struct rb_node node;
	struct pdk_key key;
	struct pdk_account *parent; /* the group above, held; NULL at the top and for users */
	unsigned long refs;
	u64 used;
	u64 max;
	bool limited; /* max was set, which holds the account */
	u64 refused;
	unsigned long told; /* jiffies of the last event */
};

/* The accounts of one owner. */
struct pdk_purse {
	struct pdk_account *user;
	struct pdk_account *group;
};

/* As they are at one moment. */
struct pdk_state {
	struct pdk_key key;
	u64 used;
	u64 max;
	u64 refused;
};

/* Hold the accounts of a user and a group, made when there are none. Return: 0; -ENOMEM. */
int pdk_purse_get(struct pdk_purse *ret, u32 uid, struct cgroup *cgroup, gfp_t gfp);
/* Hold the same accounts once more. Does not sleep, as what follows. */
void pdk_purse_copy(struct pdk_purse *ret, const struct pdk_purse *from);
void pdk_purse_put(struct pdk_purse *purse);

/*
 * Charge the user, the group and all groups above, or nobody. Return: 0; -EDQUOT, unless forced,
 * with the account that refused in *ret_state and in *ret_tell that it is time to say so.
 */
int pdk_purse_charge(struct pdk_purse *purse, u64 bytes, bool force, struct pdk_state *ret_state,
		     bool *ret_tell);
void pdk_purse_uncharge(struct pdk_purse *purse, u64 bytes);

/* Set the limit of a user, or of a group if there is one. Return: 0; -ENOMEM. */
int pdk_limit_set(u32 uid, struct cgroup *cgroup, u64 max);
/* Return: 0; -ENOENT: none was set. */
int pdk_limit_clear(const struct pdk_key *key);
void pdk_limit_clear_all(void);
/* Return: there is such an account, and *ret is its state. */
bool pdk_account_read(const struct pdk_key *key, struct pdk_state *ret);
/* The first account of the scope with this id or above. Return: there is one. */
bool pdk_account_next(const struct pdk_key *key, struct pdk_state *ret);

#endif
