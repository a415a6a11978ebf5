//go:build slow

package longwire_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/machine"
)

// An attack is what some hundreds of peers do to a server at once. What they send is bounded
// by their pace, or by the server: an attack that took all of the machine would be felt by an
// honest peer whatever the server did.
type attack struct {
	name  string
	setup setup
	peers int
	every time.Duration         // how often one of them does something
	do    func(a *attacker)     // what one of them does, again and again
	did   func(s counted) int64 // what the server has counted of it
	least int64                 // of that, or it was no attack
}

var attacks = []attack{
	// Faults row 6.
	{
		name:  "frames byte by byte",
		setup: setup{FrameTimeout: time.Second},
		peers: 300,
		every: 100 * time.Millisecond,
		do: func(a *attacker) {
			nc := a.dial()
			for _, b := range wire(1, strings.Repeat("x", 1000)) {
				if _, err := nc.Write([]byte{b}); err != nil {
					break
				}
				a.pause()
			}
			nc.Close()
		},
		did:   func(s counted) int64 { return s.Closed["frame_timeout"] },
		least: 300,
	},
	// Faults row 11.
	{
		name:  "a flood of small frames",
		peers: 200,
		every: 100 * time.Millisecond,
		do:    func(a *attacker) { a.flood(wire(1, "x")) },
		did:   func(s counted) int64 { return s.FramesIn },
		least: 200 * 50,
	},
	{
		name:  "small frames at full speed",
		setup: setup{Limits: longwire.Limits{FrameRate: 300}, WriteTimeout: time.Second},
		peers: 50,
		every: time.Millisecond,
		do:    func(a *attacker) { a.flood(wire(1, "x")) },
		did:   func(s counted) int64 { return s.FramesIn },
		least: 1000,
	},
	{
		name:  "a flood of pings",
		peers: 200,
		every: 100 * time.Millisecond,
		do:    func(a *attacker) { a.flood(wire(longwire.TypePing, "")) },
		did:   func(s counted) int64 { return s.FramesIn },
		least: 200 * 50,
	},
	// Faults row 12.
	{
		name:  "HTTP on new connections",
		peers: 200,
		every: 400 * time.Millisecond,
		do: func(a *attacker) {
			nc := a.dial()
			fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", a.addr)
			io.Copy(io.Discard, nc)
			nc.Close()
			a.pause()
		},
		did:   func(s counted) int64 { return s.Closed["bad_frame"] },
		least: 500,
	},
	// Faults row 17.
	{
		name:  "strangers that stay",
		setup: setup{Strangers: true, Limits: longwire.Limits{Strangers: 100}},
		peers: 300,
		every: 10 * time.Millisecond,
		do: func(a *attacker) {
			nc := a.dial()
			io.Copy(io.Discard, nc)
			nc.Close()
			a.pause()
		},
		did:   func(s counted) int64 { return s.Closed["too_many"] },
		least: 100,
	},
	// Faults row 28.
	{
		name:  "peers that never read",
		setup: setup{WriteTimeout: time.Second},
		peers: 200,
		every: 50 * time.Millisecond,
		do: func(a *attacker) {
			nc := a.dial()
			for message := wire(1, strings.Repeat("x", 10_000)); ; a.pause() {
				if _, err := nc.Write(message); err != nil {
					break
				}
			}
			nc.Close()
		},
		did:   func(s counted) int64 { return s.Closed["write_timeout"] },
		least: 200,
	},
	// Faults row 39.
	{
		name:  "resets",
		peers: 200,
		every: 400 * time.Millisecond,
		do: func(a *attacker) {
			nc := a.dial()
			nc.Write(append(wire(1, "and"), header(100)...))
			nc.SetLinger(0)
			nc.Close()
			a.pause()
		},
		did:   func(s counted) int64 { return s.Closed["lost"] },
		least: 500,
	},
}

// An attacker is one of the peers.
type attacker struct {
	addr string
	pace *time.Ticker
}

// overEthernet makes connections for which the kernel holds little that the peer has not read:
// the large frames of the loopback would have it hold megabytes.
var overEthernet = net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
	c.Control(func(fd uintptr) {
		err = errors.Join(
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10),
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 1448))
	})
	return err
}}

// dial connects. When it cannot, it tries again.
func (a *attacker) dial() *net.TCPConn {
	for {
		if nc, err := overEthernet.Dial("tcp", a.addr); err == nil {
			return nc.(*net.TCPConn)
		}
		a.pause()
	}
}

// pause waits until it is time for the next thing to do.
func (a *attacker) pause() { <-a.pace.C }

// flood sends the same message again and again, ten at a time, and reads what comes.
func (a *attacker) flood(message []byte) {
	nc := a.dial()
	go io.Copy(io.Discard, nc)
	ten := []byte(strings.Repeat(string(message), 10))
	for {
		if _, err := nc.Write(ten); err != nil {
			break
		}
		a.pause()
	}
	nc.Close()
}

func init() {
	roles["attackers"] = func() {
		addr := os.Getenv("LONGWIRE_TEST_ADDR")
		what := attacks[slices.IndexFunc(attacks, func(a attack) bool { return a.name == os.Getenv("LONGWIRE_TEST_ATTACK") })]
		for range what.peers {
			time.Sleep(what.every / time.Duration(what.peers)) // so that they do not all act at once
			go func() {
				a := &attacker{addr: addr, pace: time.NewTicker(what.every)}
				for {
					what.do(a)
				}
			}()
		}
		fmt.Println("attacking")
		io.Copy(io.Discard, os.Stdin) // until the test is over
	}
}

// Faults rows 6, 11, 12, 17, 28 and 39: whatever hundreds of peers do to a server, an honest
// one is answered as if they were not there.
func TestHonestPeerDuringAttacks(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) { both(t, a.test) })
	}
}

// test has the attackers attack a server, beside an honest peer.
func (a attack) test(t *testing.T, portable bool) {
	a.setup.Portable = portable
	server := startServer(t, a.setup)
	honest := server.bystander()
	t.Setenv("LONGWIRE_TEST_ATTACK", a.name)
	t.Setenv("LONGWIRE_TEST_ADDR", server.addr)
	honest.during(func(*machine.Load) {
		before := a.did(server.stats())
		attackers := start(t, "attackers", "nice")
		attackers.hear("attacking")
		time.Sleep(1500 * time.Millisecond) // for so long they attack, or until it was enough
		server.wait(func(s counted) bool { return a.did(s)-before >= a.least })
		attackers.cmd.Process.Kill()
	})
	server.wait(func(s counted) bool { return s.Open == 1 }) // nothing of the attackers is left
	t.Logf("the server's counters: %+v", server.stats())
}
