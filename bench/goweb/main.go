// SPDX-License-Identifier: BSD-2-Clause

// The Linux guest that bench/net puts beside examples/http.c: /init, which brings the network up and
// answers on port 80 as Go's net/http does (`nethttp`), or by hand on bare TCP connections (`rawtcp`), or
// starts nginx (`nginx`). Port 81 answers how many bytes of memory are in use.
//
// On the kernel's command line: nethttp|rawtcp|nginx ADDRESS. The network's modules are in /modules, with
// their order in /modules/order.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"
)

const page = "hello from Go\n"

func must(what string, err error) {
	if err != nil {
		fmt.Println("goweb:", what+":", err)
		syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	}
}

func loadModules() {
	order, err := os.ReadFile("/modules/order")
	must("modules", err)
	for _, name := range strings.Fields(string(order)) {
		file, err := os.Open("/modules/" + name)
		must(name, err)
		params := []byte{0}
		_, _, errno := syscall.Syscall(finitModule, file.Fd(), uintptr(unsafe.Pointer(&params[0])), 0)
		if errno != 0 && errno != syscall.EEXIST {
			must(name, errno)
		}
		file.Close()
	}
}

// request is struct ifreq with a struct sockaddr_in, or flags, in its union.
type request struct {
	name   [16]byte
	family uint16
	port   uint16
	ip     [4]byte
	rest   [16]byte
}

func configure(name string, ip, mask net.IP) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	must("socket", err)
	defer syscall.Close(socket)
	set := func(code uintptr, r request) {
		copy(r.name[:], name)
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), code,
			uintptr(unsafe.Pointer(&r)))
		if errno != 0 {
			must(name, errno)
		}
	}
	address := func(ip net.IP) request {
		r := request{family: syscall.AF_INET}
		copy(r.ip[:], ip.To4())
		return r
	}
	if ip != nil {
		set(syscall.SIOCSIFADDR, address(ip))
		set(syscall.SIOCSIFNETMASK, address(mask))
	}
	set(syscall.SIOCSIFFLAGS, request{family: syscall.IFF_UP | syscall.IFF_RUNNING})
}

func serveHTTP(listener net.Listener) {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write([]byte(page))
	})
	must("serve", http.Serve(listener, nil))
}

// answer is the least that keeps an HTTP client content: a request ends with an empty line.
func answer(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 4096)
	out := []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
		len(page), page))
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(bytes.TrimRight(line, "\r\n")) != 0 {
			continue
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

func serveRaw(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		must("accept", err)
		go answer(conn)
	}
}

func serveNginx() {
	nginx := exec.Command("/usr/sbin/nginx", "-e", "stderr", "-c", "/nginx.conf")
	nginx.Stdout, nginx.Stderr = os.Stdout, os.Stderr
	must("nginx", nginx.Run())
}

// usedMemory is what the kernel could not give to anybody who asks now.
func usedMemory() int {
	text, err := os.ReadFile("/proc/meminfo")
	must("meminfo", err)
	kib := map[string]int{}
	for _, line := range strings.Split(string(text), "\n") {
		var name string
		var value int
		if n, _ := fmt.Sscanf(line, "%s %d", &name, &value); n == 2 {
			kib[name] = value
		}
	}
	return (kib["MemTotal:"] - kib["MemAvailable:"]) << 10
}

func tellMemory() {
	listener, err := net.Listen("tcp", ":81")
	must("listen", err)
	for {
		conn, err := listener.Accept()
		must("accept", err)
		fmt.Fprintln(conn, usedMemory())
		conn.Close()
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Println("usage: nethttp|rawtcp|nginx ADDRESS/LENGTH")
		return
	}
	ip, subnet, err := net.ParseCIDR(os.Args[2])
	must(os.Args[2], err)
	must("/proc", syscall.Mount("proc", "/proc", "proc", 0, ""))
	must("/dev", syscall.Mount("dev", "/dev", "devtmpfs", 0, ""))
	loadModules()
	configure("lo", nil, nil)
	configure("eth0", ip, net.IP(subnet.Mask))
	files := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	must("files", syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files))
	go tellMemory()
	if os.Args[1] == "nginx" {
		serveNginx()
	}
	listener, err := net.Listen("tcp", ":80")
	must("listen", err)
	fmt.Println("listening")
	if os.Args[1] == "rawtcp" {
		serveRaw(listener)
	}
	serveHTTP(listener)
}
