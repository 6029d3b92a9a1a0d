package client

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// socketName is the name of the control socket in its folder.
const socketName = "cdc.sock"

// maxAddressBytes is the longest socket address that every system takes.
const maxAddressBytes = 100

// SocketPath is the control socket of a folder.
func SocketPath(dir string) string { return filepath.Join(dir, socketName) }

// SocketAddress is what to listen on or to dial for the folder's socket. A system limits the length of such an address, not of a
// path: in a folder with a long name the address leads through the folder's descriptor, which release closes after the call that
// used the address.
func SocketAddress(dir string) (address string, release func(), err error) {
	path := SocketPath(dir)
	if len(path) <= maxAddressBytes {
		return path, func() {}, nil
	}
	folder, err := os.Open(dir)
	if err != nil {
		return "", nil, fmt.Errorf("open folder: %w", err)
	}
	address = filepath.Join("/proc/self/fd", strconv.Itoa(int(folder.Fd())), socketName)
	return address, func() { _ = folder.Close() }, nil
}
