# SPDX-License-Identifier: MIT
#
# A thin door to meson and the scripts. Each target first installs the packages it lacks
# (scripts/deps.sh; as root, or it says what to run).

BUILD ?= build
PREFIX ?= /usr/local
FUZZ ?= all
RUNS ?= 100000
KERNEL ?= 7.3.4+deb13-amd64
LAB = lab/peerdma-lab
export PEERDMA_BUILD = $(BUILD)

.PHONY: all help build demo test test-kernel bench lab check format fuzz asan tsan install uninstall \
	clean

all: build

help:
	@echo 'make demo      device memory over RDMA between two nodes, under a stock kernel (no hardware)'
	@echo 'make test      every test that needs no special hardware'
	@echo 'make test-kernel  what is near the kernel, on another one of Debian: KERNEL=$(KERNEL)'
	@echo 'make lab       build the guest image once; then: $(LAB) shell'
	@echo 'make bench     measure; never passes or fails'
	@echo 'make check     static rules                make format   format C files'
	@echo 'make           programs into $(BUILD)/         make install, make uninstall  PREFIX=, DESTDIR='
	@echo 'make fuzz      FUZZ=name RUNS=100000       make asan, make tsan   sanitized tests'
	@echo 'make clean     remove $(BUILD)/ (the image cache stays: $(LAB) image --help)'

build:
	@scripts/deps.sh build
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) .
	@ninja -C $(BUILD)

demo:
	@scripts/deps.sh lab
	@$(MAKE) --no-print-directory build
	@$(LAB) demo

bench: lab
	@bench/run

lab:
	@scripts/deps.sh lab
	@$(MAKE) --no-print-directory build
	@$(LAB) image
	@$(LAB) kbuild

test:
	@scripts/test.sh

# The image of another kernel and the headers for it take minutes to make: not part of "make test".
test-kernel:
	@scripts/deps.sh test lab
	@$(MAKE) --no-print-directory build
	@meson configure $(BUILD) -Dtests=enabled
	@ninja -C $(BUILD)
	@$(LAB) kbuild --kernel-release $(KERNEL)
	@$(LAB) test --kernel-release $(KERNEL) -o $(BUILD)/test-results-$(KERNEL) \
		'kernel_*' check_pairs cli_pins 'vfio_*' 'nvme_*' nic_verbs

check:
	@scripts/deps.sh test lab
	@scripts/check.sh

format:
	@scripts/deps.sh test
	@scripts/check.sh --format

asan tsan:
	@scripts/deps.sh test
	@scripts/test.sh $@

fuzz:
	@scripts/deps.sh test
	@scripts/fuzz.sh $(FUZZ) $(RUNS)

install: build
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@meson install -C $(BUILD)

# What the last install wrote, wherever that was (DESTDIR too).
uninstall:
	@ninja -C $(BUILD) uninstall

clean:
	@rm -rf $(BUILD)
