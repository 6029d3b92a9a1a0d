package testservers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

const (
	// firstServerPort is above what services of a machine are known by.
	firstServerPort = 10_000
	// probesMax bounds the search for a free port; on a machine where so many
	// in a row are taken something else is wrong.
	probesMax = 100
)

func hostPort(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// freePort finds a port that is free at this moment.
func freePort() (int, error) {
	ports, err := freePorts(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// freePorts finds n different ones. They are below those that the kernel gives
// to outgoing connections: one of these would stand in the way of a server that
// was killed and comes back.
func freePorts(n int) (ports []int, err error) {
	end := firstOutgoingPort()
	for range n {
		l, err := listenBelow(end)
		if err != nil {
			return nil, fmt.Errorf("find free port from %d to %d: %w", firstServerPort, end-1, err)
		}
		defer l.Close() // not before all are found, so that none is found twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func listenBelow(end int) (l net.Listener, err error) {
	for range probesMax {
		l, err = net.Listen("tcp", hostPort(firstServerPort+rand.IntN(end-firstServerPort)))
		if err == nil {
			return l, nil
		}
	}
	return nil, err
}

// firstOutgoingPort is where the kernel's range for outgoing connections
// begins, or by default would if it leaves no room below.
func firstOutgoingPort() int {
	const byDefault = 32_768
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return byDefault
	}
	first := 0
	if _, err := fmt.Sscan(string(text), &first); err != nil || first <= firstServerPort+probesMax {
		return byDefault
	}
	return first
}
