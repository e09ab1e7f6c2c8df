# SPDX-License-Identifier: BSD-2-Clause
# A PC with ACPI and PCI Express, under SeaBIOS. qemu/run reads this file.
# The option ROM of the network card and the graphics card would only cost boot time.
arch=x86_64
machine_args=(-machine q35 -cpu max -vga none)
nic=virtio-net-pci,disable-legacy=on,romfile=,rx_queue_size=1024
# Below, there is nothing where images begin.
mem_least=2M
