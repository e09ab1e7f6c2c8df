# SPDX-License-Identifier: BSD-2-Clause
# No machine at all: a process of this Linux host, whose threads are the harts. qemu/run reads this file.
arch=hosted
