/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fields of the NIC's big-endian structures, named the way its reference manual writes them: byte
 * offset of the dword, highest bit, lowest bit. MLX5_Q is a whole 64-bit field at an offset.
 * A structure inside another is reached by passing a pointer to its first byte.
 */
#ifndef PEERDMA_HW_MLX5_BITS_H
#define PEERDMA_HW_MLX5_BITS_H

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t mlx5_field;

#define MLX5_F(off, hi, lo) ((mlx5_field)(((uint32_t)(off) << 12) | ((hi) << 6) | (lo)))
#define MLX5_Q(off)	    MLX5_F(off, 63, 0)

static inline uint32_t mlx5_field_off(mlx5_field f)
{
	return f >> 12;
}

static inline bool mlx5_field_is_quad(mlx5_field f)
{
	return (f & 0xfff) == (63 << 6);
}

/* Bits of the field, right-aligned in its dword. */
static inline uint32_t mlx5_field_mask(mlx5_field f)
{
	unsigned hi = (f >> 6) & 63, lo = f & 63;

	return 0xffffffffu >> (31 - (hi - lo));
}

/* Byte by byte: any alignment, any byte order of the host; compilers make one load of it. */
static inline uint32_t mlx5_get32(const void *buf, uint32_t off)
{
	const uint8_t *p = (const uint8_t *)buf + off;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void mlx5_set32(void *buf, uint32_t off, uint32_t val)
{
	uint8_t *p = (uint8_t *)buf + off;

	p[0] = (uint8_t)(val >> 24);
	p[1] = (uint8_t)(val >> 16);
	p[2] = (uint8_t)(val >> 8);
	p[3] = (uint8_t)val;
}

static inline uint64_t mlx5_get64(const void *buf, uint32_t off)
{
	return (uint64_t)mlx5_get32(buf, off) << 32 | mlx5_get32(buf, off + 4);
}

static inline void mlx5_set64(void *buf, uint32_t off, uint64_t val)
{
	mlx5_set32(buf, off, (uint32_t)(val >> 32));
	mlx5_set32(buf, off + 4, (uint32_t)val);
}

static inline uint64_t mlx5_get(const void *buf, mlx5_field f)
{
	if (mlx5_field_is_quad(f))
		return mlx5_get64(buf, mlx5_field_off(f));
	return (mlx5_get32(buf, mlx5_field_off(f)) >> (f & 63)) & mlx5_field_mask(f);
}

/* Bits of val beyond the field's width are dropped. */
static inline void mlx5_set(void *buf, mlx5_field f, uint64_t val)
{
	uint32_t mask, old;

	if (mlx5_field_is_quad(f)) {
		mlx5_set64(buf, mlx5_field_off(f), val);
		return;
	}
	mask = mlx5_field_mask(f) << (f & 63);
	old = mlx5_get32(buf, mlx5_field_off(f));
	mlx5_set32(buf, mlx5_field_off(f), (old & ~mask) | (((uint32_t)val << (f & 63)) & mask));
}

#endif
