package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
)

// peer is what the commands that connect to somebody have in common.
type peer struct {
	frameFlags
	id, token string
	maxFrame  size
	connected atomic.Bool // a connection has been made
}

func (p *peer) addFlags(cmd *cobra.Command) {
	p.maxFrame = frame.DefaultMaxFrame
	f := cmd.Flags()
	f.StringVar(&p.id, "id", "", "`name` to say hello with before anything else")
	f.StringVar(&p.token, "token", "", "`secret` that proves the name; safer in LONGWIRE_TOKEN, where others cannot list it")
	f.Var(&p.maxFrame, "max-frame", "largest frame to send and to accept, head to tail")
	fallBack(cmd, "id", "token")
	p.frameFlags.addFlags(cmd)
}

// smallestMaxFrame leaves room for the envelope of an answer.
const smallestMaxFrame = 1 * kib

// client returns a client of the peer at an address, without a handler.
func (p *peer) client(cmd *cobra.Command, address string) (*longwire.Client, error) {
	if p.maxFrame < smallestMaxFrame {
		return nil, usagef("--max-frame: %v is too little for an answer; it must be at least %v", p.maxFrame, smallestMaxFrame)
	}
	frames, err := p.read()
	if err != nil {
		return nil, err
	}
	limit := int(p.maxFrame)
	if !cmd.Flags().Changed("max-frame") {
		limit = frames.maxFrame
	}
	cl := &longwire.Client{
		Addr: address,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				p.connected.Store(true)
			}
			return nc, err
		},
		Config: &longwire.Config{Format: frames.format, MaxFrame: limit},
	}
	switch {
	case p.id != "":
		cl.Hello = &longwire.Hello{ID: p.id, Token: p.token}
	case p.token != "":
		return nil, usagef("%s: a token proves a name; give that too, with --id", setting(cmd, "token"))
	}
	return cl, nil
}

// connectProblem says why Client.Dial has failed.
func (p *peer) connectProblem(err error, address string, timeout *duration) error {
	if e, ok := errors.AsType[*longwire.RemoteError](err); ok {
		return fmt.Errorf("%s refused the hello with status %.64q: %.256q", address, e.Status, e.Message)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		if p.connected.Load() {
			return fmt.Errorf("%s did not answer the hello within %v", address, timeout)
		}
		return fmt.Errorf("no connection to %s within %v", address, timeout)
	}
	if e, ok := errors.AsType[*longwire.CloseError](err); ok {
		return fmt.Errorf("%s ended the connection during the hello: %v", address, e.Reason)
	}
	return fmt.Errorf("cannot connect to %s: %w", address, innermost(err))
}
