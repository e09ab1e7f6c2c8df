# SPDX-License-Identifier: BSD-2-Clause
# QEMU's generic RISC-V machine, under OpenSBI. qemu/run reads this file.
arch=riscv64
machine_args=(-machine virt -cpu rv64 -global virtio-mmio.force-legacy=false)
nic=virtio-net-device
# Below, the firmware, its device tree and an image have no place beside each other.
mem_least=8M
