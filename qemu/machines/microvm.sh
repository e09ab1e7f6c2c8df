# SPDX-License-Identifier: BSD-2-Clause
# The least PC there is: virtio over MMIO, no PCI, under qboot. qemu/run reads this file.
arch=x86_64
machine_args=(-machine microvm -cpu max -global virtio-mmio.force-legacy=false)
nic=virtio-net-device
# Below, there is nothing where images begin.
mem_least=2M
