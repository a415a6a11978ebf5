//go:build slow

package longwire_test

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
)

func init() {
	roles["suspended"] = func() {
		srv := &longwire.Server{
			Handler: echo,
			Config:  &longwire.Config{PingInterval: time.Second, Portable: os.Getenv("PORTABLE") != ""},
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		go srv.Serve(l)
		fmt.Println("listening", l.Addr())
		var word string
		for fmt.Scanln(&word); word != ""; {
			word = ""
			fmt.Println("open", srv.Stats().Open, srv.Stats().Closed)
			fmt.Scanln(&word)
		}
	}
}

// Faults row 46: a server that did not run for a while does not take its peers for
// silent: what they have sent is looked at first. Those that are silent after that go.
func TestServerThatWasSuspended(t *testing.T) {
	for _, driver := range []string{"", "portable"} {
		t.Setenv("PORTABLE", driver)
		server := start(t, "suspended")
		addr := server.hear("listening")
		const peers = 50
		ping := wire(longwire.TypePing, "")
		stop := make(chan struct{})
		var conns []net.Conn
		for range peers {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.Write(ping) // it knows pings, so it is expected to send them
			if _, err := frame.NewReader(nc, nil).Next(); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, nc)
			for _, nc := range conns { // none is to be asked for a sign of life before all are there
				nc.Write(ping)
			}
		}
		pinged := make(chan struct{})
		go func() {
			defer close(pinged)
			for tick := time.NewTicker(200 * time.Millisecond); ; {
				for _, nc := range conns {
					nc.Write(ping)
				}
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		}()
		server.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(7 * time.Second) // the time that it does not run, far more than 2.5 intervals
		server.cmd.Process.Signal(syscall.SIGCONT)
		time.Sleep(2500 * time.Millisecond) // in which it looks at everybody twice
		server.tell("count")
		if got := server.hear("open"); got != fmt.Sprint(peers, " map[]") {
			t.Errorf("%s: open %s, want %d", driver, got, peers)
		}
		close(stop)
		<-pinged
		want := fmt.Sprintf("0 map[silent:%d]", peers) // for now they are
		for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			server.tell("count")
			got := server.hear("open")
			if got == want {
				break
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("%s: open %s, want %s", driver, got, want)
			}
		}
	}
}
