# SPDX-License-Identifier: MIT
"""The peerdma lab: guest image, topologies, launcher."""
