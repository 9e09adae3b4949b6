// The peer at the other end of the socket that is its stdin: receives a file, reports on it, and
// sends three files.
package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

const (
	cloexec, allowSealing = 1, 2
	addSeals, getSeals    = 1033, 1034
	shrink, all           = 2, 0xf
)

// The syscall package is frozen and lacks this call.
var memfdCreate = map[string]uintptr{
	"386": 356, "amd64": 319, "arm": 385, "arm64": 279, "riscv64": 279, "s390x": 350,
}[runtime.GOARCH]

func check(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func fcntl(fd, command, argument int) int {
	result, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), uintptr(command), uintptr(argument))
	if errno != 0 {
		check("fcntl", errno)
	}
	return int(result)
}

func receive() (string, int) {
	payload, control := make([]byte, 64), make([]byte, syscall.CmsgSpace(4))
	bytes, controlBytes, _, _, err := syscall.Recvmsg(0, payload, control, syscall.MSG_CMSG_CLOEXEC)
	check("recvmsg", err)
	messages, err := syscall.ParseSocketControlMessage(control[:controlBytes])
	check("control message", err)
	fds, err := syscall.ParseUnixRights(&messages[0])
	check("descriptors", err)
	return string(payload[:bytes]), fds[0]
}

func send(payload string, fds ...int) {
	check("sendmsg", syscall.Sendmsg(0, []byte(payload), syscall.UnixRights(fds...), nil, 0))
}

func create(text string, seals int) int {
	name, err := syscall.BytePtrFromString("Go")
	check("name", err)
	fd, _, errno := syscall.Syscall(memfdCreate, uintptr(unsafe.Pointer(name)), cloexec|allowSealing, 0)
	if errno != 0 {
		check("memfd_create", errno)
	}
	_, err = syscall.Write(int(fd), []byte(text))
	check("write", err)
	fcntl(int(fd), addSeals, seals)
	return int(fd)
}

func main() {
	payload, fd := receive()
	var stat syscall.Stat_t
	check("fstat", syscall.Fstat(fd, &stat))
	text, err := syscall.Mmap(fd, 0, int(stat.Size), syscall.PROT_READ, syscall.MAP_SHARED)
	check("mmap", err)
	fmt.Println(payload, string(text), fcntl(fd, getSeals, 0)&all)

	sealed := create("from Go", all)
	send("sealed", sealed)
	send("unsealed", create("can change", shrink))
	send("two", sealed, sealed)
}
