package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"

	"github.com/longwire/longwire"
)

// A hub is a server, in the test itself, that pushes messages to whoever connects.
// It knows no answer to questions and says nothing about other messages.
type hub struct {
	srv  *longwire.Server
	over chan struct{} // closed when it has stopped

	mu     sync.Mutex
	conns  int // how many have been sent their messages
	served chan struct{}
}

// cmdHub runs a hub:
//
//	hub start NAME [flag...] DATA...   listen; each connection gets these messages, of type 0x10; NAME becomes the address
//	hub await NAME N                   wait until N connections have got theirs
//	hub stop NAME                      end it and its connections
//
// With --token T a connection must begin with a hello that has it. With --again the
// messages are sent over and over. With --mute nothing is answered. A hub that starts with a name that has been in
// use listens where the old one did.
func cmdHub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: hub start|await|stop NAME ...")
	}
	hubs, name := on(ts).hubs, args[1]
	switch args[0] {
	case "start":
		address := ts.Getenv(name)
		if address == "" {
			address = "127.0.0.1:0"
		}
		l, err := listenAgain(address)
		ts.Check(err)
		h := newHub(args[2:])
		hubs[name] = h
		go func() {
			defer close(h.over)
			h.srv.Serve(l)
		}()
		ts.Defer(h.stop)
		ts.Setenv(name, l.Addr().String())
	case "await":
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		if !hubs[name].await(n) {
			ts.Fatalf("%d connections have not come", n)
		}
	case "stop":
		hubs[name].stop()
	default:
		ts.Fatalf("unknown: hub %s", args[0])
	}
}

// listenAgain listens where there may have been a listener before. Meanwhile a
// connection of another script may have been given the port, for a moment.
func listenAgain(address string) (l net.Listener, err error) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if l, err = net.Listen("tcp", address); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return l, err
}

func newHub(args []string) *hub {
	h := &hub{over: make(chan struct{}), served: make(chan struct{}, 1)}
	flags := pflag.NewFlagSet("hub", pflag.PanicOnError)
	token := flags.String("token", "", "")
	again := flags.Bool("again", false, "")
	mute := flags.Bool("mute", false, "")
	flags.Parse(args)
	silent := longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
		if m.Key() != "" {
			return nil, longwire.Errorf(longwire.StatusNotFound, "nothing is known about that")
		}
		return nil, nil
	})
	h.srv = &longwire.Server{Handler: silent, Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
		if *mute {
			<-ctx.Done()
		}
		if *token != "" {
			if err := admit(ctx, c, *token); err != nil {
				return nil, err
			}
		}
		for first := true; first || *again; first = false {
			for _, data := range flags.Args() {
				if err := c.Push(ctx, 0x10, longwire.Raw(data)); err != nil {
					return nil, err
				}
			}
		}
		h.mu.Lock()
		h.conns++
		h.mu.Unlock()
		select {
		case h.served <- struct{}{}:
		default:
		}
		return nil, nil
	}}
	return h
}

// admit checks a hello.
func admit(ctx context.Context, c *longwire.Conn, token string) error {
	m, err := c.Receive(ctx)
	if err != nil {
		return err
	}
	var hello longwire.Hello
	if err := m.Decode(&hello); err != nil {
		return err
	}
	if hello.ID == "" || hello.Token != token {
		return longwire.Errorf(longwire.StatusUnauthorized, "the token is wrong")
	}
	c.SetID(hello.ID)
	return nil
}

func (h *hub) await(n int) bool {
	overdue := time.After(patience)
	for {
		h.mu.Lock()
		enough := h.conns >= n
		h.mu.Unlock()
		if enough {
			return true
		}
		select {
		case <-h.served:
		case <-overdue:
			return false
		}
	}
}

// stop ends the hub, when what it has pushed is written, and waits until its port
// is free.
func (h *hub) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	h.srv.Shutdown(ctx)
	<-h.over
}
