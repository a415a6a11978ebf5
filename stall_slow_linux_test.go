//go:build slow

package longwire_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/machine"
)

func init() {
	// Peers that all send the same few bytes and then nothing, until the server ends them. They
	// keep their side open for as long as they can.
	roles["stalled"] = func() {
		number, _ := strconv.Atoi(os.Getenv("LONGWIRE_TEST_PEERS"))
		begin, _ := hex.DecodeString(os.Getenv("LONGWIRE_TEST_BYTES"))
		var ended sync.WaitGroup
		var mu sync.Mutex // guards shortest and longest
		shortest, longest := time.Hour, time.Duration(0)
		pace := time.NewTicker(10 * time.Millisecond) // 40 at a time, or it would be a flood of connections as well
		for i := range number {
			if i%40 == 0 {
				<-pace.C
			}
			began := time.Now()
			nc, err := net.Dial("tcp", os.Getenv("LONGWIRE_TEST_ADDR"))
			if err != nil {
				panic(err)
			}
			nc.SetReadDeadline(began.Add(30 * time.Second)) // a guard
			nc.Write(begin)
			ended.Go(func() {
				nc.Read(make([]byte, 1))
				mu.Lock()
				defer mu.Unlock()
				shortest, longest = min(shortest, time.Since(began)), max(longest, time.Since(began))
			})
		}
		fmt.Println("stalled")
		ended.Wait()
		fmt.Println("ended", int64(shortest), int64(longest))
		bufio.NewReader(os.Stdin).ReadString('\n')
	}
}

// A stall is what peers do that begin something and do not go on with it.
type stall struct {
	setup  setup
	peers  int
	bytes  string        // what they send
	after  time.Duration // the server's limit for it
	linger time.Duration // for how long it keeps the descriptor then, when the peer keeps its side open
	reason longwire.Reason
}

// What one of them may cost, in bytes: what it holds, and what the process has ever had
// resident, with what is garbage until the next collection.
const (
	mostHeld = 16 << 10
	mostEver = 2 * mostHeld
)

// test has them do it, beside an honest peer.
func (s stall) test(t *testing.T) {
	server := startServer(t, s.setup)
	honest := server.bystander()
	inUse, resident := server.held()
	descriptors := server.descriptors()
	t.Setenv("LONGWIRE_TEST_ADDR", server.addr)
	t.Setenv("LONGWIRE_TEST_PEERS", strconv.Itoa(s.peers))
	t.Setenv("LONGWIRE_TEST_BYTES", hex.EncodeToString([]byte(s.bytes)))
	first := true // time that p99 is judged, so that nothing of an earlier one is in memory
	honest.during(func(m *machine.Load) {
		before := server.stats()
		peers := start(t, "stalled", "nice", "-n", "5")
		peers.hear("stalled")
		server.wait(func(c counted) bool { return c.Opened == before.Opened+int64(s.peers) })
		ever := (server.memory("VmHWM") - resident) / s.peers
		inUseNow, residentNow := server.held()
		held := max(inUseNow-inUse, residentNow-resident) / s.peers
		open := server.stats().Open - before.Open
		m.Want(open == int64(s.peers), "%d of them are there at the same time", open)
		began := time.Now()
		server.honest().nc.Close()
		newcomer := time.Since(began)
		t.Logf("each holds %d bytes, and %d with garbage; a newcomer was answered after %v", held, ever, newcomer)
		if first && (held > mostHeld || ever > mostEver) && !underRaceDetector() {
			t.Errorf("each holds %d bytes, and %d with garbage; want %d and %d at most", held, ever, mostHeld, mostEver)
		}
		first = false
		m.Want(newcomer <= longestWait, "a newcomer was answered after %v", newcomer)
		var shortest, longest time.Duration
		if _, err := fmt.Sscan(peers.hear("ended"), &shortest, &longest); err != nil {
			t.Fatal(err)
		}
		ended := time.Now()
		for server.descriptors() > descriptors && time.Since(ended) < s.linger+machine.Busy {
			time.Sleep(10 * time.Millisecond) // a poll
		}
		left := server.descriptors() - descriptors
		m.Want(left <= 0, "%d descriptors are left", left)
		t.Logf("over after %v to %v, and their descriptors %v later", shortest, longest, time.Since(ended))
		if shortest < s.after {
			t.Errorf("one was over after %v already, want %v", shortest, s.after)
		}
		m.Want(longest <= s.after+time.Second+machine.Busy, "one was over only after %v, want %v and a second at most", longest, s.after)
		after := server.stats()
		if n := after.Closed[s.reason.String()] - before.Closed[s.reason.String()]; n != int64(s.peers) {
			t.Errorf("%d are over for the right reason; all: %v", n, after.Closed)
		}
	})
}

// Faults row 5: 2,000 peers declare a frame of 1 MiB each and send 16 bytes of it.
func TestManyLargeFramesAreBegun(t *testing.T) {
	both(t, func(t *testing.T, portable bool) {
		stall{
			setup:  setup{Portable: portable, FrameTimeout: 2 * time.Second},
			peers:  2000,
			bytes:  header(1<<20) + "123456789",
			after:  2 * time.Second,
			reason: longwire.ReasonFrameTimeout,
		}.test(t)
	})
}

// Faults rows 5 and 17: as strangers they may declare 4 KiB, and are gone at once when they
// declare more. There must be places for so many strangers, or they would be gone after a
// second.
func TestManyStrangersBeginFrames(t *testing.T) {
	both(t, func(t *testing.T, portable bool) {
		stall{
			setup:  setup{Portable: portable, Strangers: true, AdmitTimeout: 2 * time.Second, Limits: longwire.Limits{Strangers: 3000}},
			peers:  2000,
			bytes:  header(4<<10) + "123456789",
			after:  2 * time.Second,
			linger: time.Second,
			reason: longwire.ReasonAdmitTimeout,
		}.test(t)
	})
}

// Faults row 15: 1,000 peers connect to a server that speaks TLS, and say nothing, or half a
// ClientHello.
func TestManySilentTLSPeers(t *testing.T) {
	server := newAuthority(t).issue("server", 2)
	for name, bytes := range map[string]string{
		"nothing":            "",
		"half a ClientHello": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + string(make([]byte, 245)),
	} {
		t.Run(name, func(t *testing.T) {
			stall{
				setup:  setup{CertFile: server.CertFile, KeyFile: server.KeyFile, AdmitTimeout: 2 * time.Second, Limits: longwire.Limits{Strangers: 3000}},
				peers:  1000,
				bytes:  bytes,
				after:  2 * time.Second,
				reason: longwire.ReasonAdmitTimeout,
			}.test(t)
		})
	}
}
