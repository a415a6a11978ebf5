//go:build slow

package longwire_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/longwire/longwire"
)

const (
	cableServer = "10.99.0.1"
	cableClient = "10.99.0.2"
)

// ip runs the command of that name.
func ip(words string) {
	if out, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput(); err != nil {
		fmt.Printf("failed: ip %s: %v: %s\n", words, err, out)
		os.Exit(1)
	}
}

// pullCable has everything that is sent to the other machine vanish.
func pullCable(device, other string) {
	ip("neigh replace " + other + " lladdr 02:00:00:00:00:99 nud permanent dev " + device)
}

// over prints how long after the cut a connection ended, and why.
func over(what string, c *longwire.Conn, cut time.Time) {
	<-c.Done()
	reason := longwire.Reason(0)
	if e, ok := errors.AsType[*longwire.CloseError](c.Err()); ok {
		reason = e.Reason
	}
	fmt.Println("over", what, reason, time.Since(cut).Seconds())
}

func init() {
	roles["cable server"] = func() {
		ip("link set lo up")
		var pid string
		fmt.Scanln(&pid)
		ip("link add cable0 type veth peer name cable1 netns " + pid)
		ip("addr add " + cableServer + "/24 dev cable0")
		ip("link set cable0 up")
		var conns []*longwire.Conn
		for _, portable := range []bool{false, true} {
			srv := &longwire.Server{Handler: ok, Config: &longwire.Config{Portable: portable}}
			l, err := net.Listen("tcp", cableServer+":0")
			if err != nil {
				panic(err)
			}
			go srv.Serve(l)
			fmt.Println("listening", l.Addr())
			var word string
			fmt.Scanln(&word) // the clients are there
			for c := range srv.Conns() {
				conns = append(conns, c)
			}
		}
		var word string
		fmt.Scanln(&word)
		pullCable("cable0", cableClient)
		cut := time.Now()
		for _, c := range conns {
			go over("server", c, cut)
		}
		fmt.Scanln(&word)
	}
	roles["cable client"] = func() {
		fmt.Println("pid", os.Getpid())
		var word string
		fmt.Scanln(&word)
		ip("addr add " + cableClient + "/24 dev cable1")
		ip("link set cable1 up")
		var conns []*longwire.Conn
		for range 2 {
			var addr string
			fmt.Scanln(&addr)
			plain, err := net.Dial("tcp", addr)
			if err != nil {
				panic(err)
			}
			defer plain.Close()
			plain.Write(wire(1, "hello")) // and no ping, ever
			plain.Read(make([]byte, 100))
			c, err := longwire.Dial(context.Background(), addr, nil)
			if err != nil {
				panic(err)
			}
			if err := c.Ask(context.Background(), 1, "hello", nil); err != nil {
				fmt.Println("ask:", err)
			}
			conns = append(conns, c)
			fmt.Println("connected")
		}
		fmt.Scanln(&word)
		pullCable("cable1", cableServer)
		cut := time.Now()
		for _, c := range conns {
			go over("client", c, cut)
		}
		fmt.Scanln(&word)
	}
}

// Faults row 41: the cable between two machines is pulled. Nobody is told: both sides
// must notice within 75 seconds, with the library at both ends and with a plain peer.
func TestCableIsPulled(t *testing.T) {
	if os.Getuid() != 0 || exec.Command("unshare", "-n", "ip", "link", "add", "cable0", "type", "veth", "peer", "name", "cable1").Run() != nil {
		t.Skip("needs root, the commands unshare and ip, and network namespaces")
	}
	server, client := start(t, "cable server", "unshare", "-n"), start(t, "cable client", "unshare", "-n")
	server.tell(client.hear("pid"))
	addr := server.hear("listening")
	client.tell("go")
	for i := range 2 {
		client.tell(addr)
		client.hear("connected")
		server.tell("go")
		if i == 0 {
			addr = server.hear("listening")
		}
	}
	server.tell("cut")
	client.tell("cut")
	for range 4 {
		t.Log(checkCable(t, server.hear("over")))
	}
	for range 2 {
		t.Log(checkCable(t, client.hear("over")))
	}
}

func checkCable(t *testing.T, line string) string {
	var side, reason string
	var seconds float64
	if _, err := fmt.Sscan(line, &side, &reason, &seconds); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if seconds > 77 { // 75, and a sweep, and what the kernel rounds up
		t.Errorf("noticed after %v s", seconds)
	}
	return line
}
