//go:build slow

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/config"
)

// Of many boards only those on the screen are asked for, and any of them can be reached.
func TestTopWithManyBoards(t *testing.T) {
	g := newGatewayProcess(t)
	g.start()
	for i := range 1100 {
		g.board(longwire.Hello{ID: fmt.Sprintf("meter-%04d", i)})
	}
	busy := g.board(longwire.Hello{ID: "meter-9999"})
	for range 50 {
		if err := busy.Ask(t.Context(), 16, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	s := inTerminal(t, 80, 24, "top", "--api", "http://"+g.http, "--interval", "300ms")
	s.shows(`boards 1101 of 1101 online`)
	s.shows(`by frames_in in all`)
	s.shows(`BOARD .*\nmeter-9999 +online `)
	s.press("sssss")
	s.shows(`by id`)
	s.shows(`BOARD .*\nmeter-0000 +online +0 +0 `)
	s.press("\x1b[6~\x1b[6~\x1b[6~")
	s.shows(`meter-0050 +online +0 +0 `)
	s.press("G")
	s.shows(`meter-9999 `)
	s.shows(`meter-1099 `)
	s.press("/9999\r")
	s.shows(`BOARD .*\nmeter-9999 `)
	s.sees(`meter-1099`, false)
	s.press("\x1b")
	s.shows(`meter-0000 `)
	s.press("q")
	s.leaves()
}

// A token that does not count any more ends the view, with a sentence and the terminal as it was.
func TestTopWithoutAToken(t *testing.T) {
	newAPITest(t)
	t.Chdir(t.TempDir())
	yaml := func(token string) string {
		return "\nhttp: {address: 127.0.0.1:0, tokens: {operator: \"" + config.HashOf(token).Reveal() + "\"}}\n"
	}
	g := serveConfig(t, yaml("secret"))
	t.Setenv("LONGWIRE_API_TOKEN", "secret")
	s := inTerminal(t, 80, 24, "top", "--api", g.api, "--interval", "100ms")
	s.shows(`no board has connected yet`)
	g.write(yaml("another"))
	g.token = "secret"
	if status := g.do("POST", "/v1/reload", "{}", nil); status != 200 {
		t.Fatalf("reload: %d", status)
	}
	s.shows(`longwire top: the gateway at http://127`)
	if err := <-s.ended; err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("it ended with %v", err)
	}
	s.ended <- nil
	s.leaves()
}

// A board that sends as fast as it can does not stop the view.
func TestTopUnderAFlood(t *testing.T) {
	g := newGatewayProcess(t)
	g.start()
	flood := g.board(longwire.Hello{ID: "flood-1"})
	s := inTerminal(t, 80, 24, "top", "--api", "http://"+g.http, "--interval", "200ms")
	s.shows(`flood-1 +online`)
	s.press("\r")
	s.shows(`no frame yet`)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for flood.Push(t.Context(), 32, strings.Repeat("x", 1000)) == nil {
		}
	}()
	s.shows(`frames ([1-9]\d{2,}|[1-9][\d.]*[kM])/s in`)
	s.shows(`<- in +0x0020`)
	s.press("?")
	s.shows(`1 2 3 4, tab`)
	s.press("x ")
	s.shows(`paused, \d+ more`)
	s.press("\x1b")
	s.shows(`flood-1 +online +\d`)
	s.press("q")
	s.leaves()
	flood.Close(longwire.ReasonClosed)
	<-over
}
