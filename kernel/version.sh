#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The version of the project: meson.build has it, and a folder made for DKMS has it in dkms.conf.
above=$(dirname "$0")/..
sed -n "s/^  version: '\(.*\)',\$/\1/p; s/^PACKAGE_VERSION=\"\(.*\)\"\$/\1/p" \
	"$above/meson.build" "$above/dkms.conf" 2>/dev/null | head -n 1
