// SPDX-License-Identifier: BSD-2-Clause

package main

const finitModule = 273 // finit_module(2); package syscall has no name for it
