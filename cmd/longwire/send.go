package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
)

// send is the command "longwire send" with its flags.
type send struct {
	peer
	cmd     *cobra.Command
	ask     bool
	noWait  bool
	hex     bool
	timeout duration
}

func newSend() *cobra.Command {
	s := &send{timeout: duration(5 * time.Second)}
	s.cmd = &cobra.Command{
		Use:   "send ADDR TYPE DATA",
		Short: "Send one message and print the answer",
		Long: `Send connects to ADDR, sends one message of TYPE, and prints the answer as one
line of JSON on stdout. The next frame of the same type is taken for the answer.
The exit status is 0 when an answer came and, if it has a status, that is one of
200 to 299.

TYPE is a number from 0 to 65279, as in 16 or 0x10.

DATA is sent as it is:
  66666        this text
  @reading.bin what the file reading.bin holds
  @@home       the text @home
  -            what stdin holds, with the line break at its end if there is one
Put -- before it when it begins with a dash, as a negative number does.

With --ask, DATA is JSON and becomes the data of a question: an envelope with a
call_back_key, which the answer must repeat.

An answer that is JSON is printed as it is, on one line. One that is not is printed
as {"type":"0x0010","text":"…"} when it is text, and otherwise as
{"type":"0x0010","base64":"…"}.`,
		Example: `  longwire send 127.0.0.1:10302 16 66666
  longwire send 127.0.0.1:10302 0x10 --ask '{"rom":"status"}'
  longwire send 127.0.0.1:10302 16 --hex 'c8 00 01 c9'`,
		Args:              arguments("ADDR", "TYPE", "DATA"),
		RunE:              func(cmd *cobra.Command, args []string) error { return s.run(cmd.Context(), args[0], args[1], args[2]) },
		ValidArgsFunction: completeData(2),
	}
	f := s.cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&s.ask, "ask", false, "send DATA as a question, in an envelope")
	f.BoolVar(&s.noWait, "no-wait", false, "send, and wait for no answer")
	f.BoolVar(&s.hex, "hex", false, "DATA is hexadecimal digits, and spaces between them")
	f.Var(&s.timeout, "timeout", "how long all of it may take")
	s.addFlags(s.cmd)
	return s.cmd
}

func (s *send) run(ctx context.Context, address, typ, data string) error {
	m, err := s.message(address, typ, data)
	if err != nil {
		return err
	}
	client, err := s.client(s.cmd, address)
	if err != nil {
		return err
	}
	client.Config.AdmitTimeout = -1 // ctx limits the hello too
	ctx, cancel := context.WithTimeout(ctx, time.Duration(s.timeout))
	defer cancel()
	c, err := client.Dial(ctx)
	if err != nil {
		return s.connectProblem(err, address, &s.timeout)
	}
	defer c.Close(longwire.ReasonClosed)
	if s.noWait {
		return s.push(ctx, c, m)
	}
	answer, err := s.exchange(ctx, c, m)
	if answer != nil {
		if err := s.print(m.Type, answer); err != nil {
			return err
		}
	}
	return s.problem(err)
}

// message makes the arguments into the message to send.
func (s *send) message(address, typ, arg string) (m longwire.Message, err error) {
	switch {
	case s.ask && s.noWait:
		return m, usagef("--ask waits for an answer and --no-wait does not; choose one of them")
	case s.timeout == 0:
		return m, usagef("--timeout: must be more than 0")
	}
	if err := checkAddress(address); err != nil {
		return m, err
	}
	if m.Type, err = parseType(typ); err != nil {
		return m, err
	}
	limit := int(s.maxFrame)
	if s.hex {
		limit *= 4 // two digits a byte, and space between them
	}
	if m.Data, err = readData(arg, s.cmd.InOrStdin(), limit); err != nil {
		return m, err
	}
	if s.hex {
		if m.Data, err = decodeHex(m.Data); err != nil {
			return m, err
		}
	}
	if s.ask && !isJSON(m.Data) {
		return m, usagef(`DATA must be JSON with --ask; a text is JSON when it stands in double quotes, as in '"on"'`)
	}
	return m, nil
}

func (s *send) push(ctx context.Context, c *longwire.Conn, m longwire.Message) error {
	if err := c.Push(ctx, m.Type, longwire.Raw(m.Data)); err != nil {
		return s.problem(err)
	}
	if err := c.Shutdown(ctx); err != nil {
		return fmt.Errorf("the message could not be written: %w", innermost(err))
	}
	return nil
}

// exchange sends the message and returns the answer, if one has come. One with a
// status that is no success is an error too.
func (s *send) exchange(ctx context.Context, c *longwire.Conn, m longwire.Message) (answer longwire.Raw, err error) {
	if s.ask {
		err = c.Ask(ctx, m.Type, json.RawMessage(m.Data), &answer)
	} else {
		err = c.AskByType(ctx, m.Type, longwire.Raw(m.Data), &answer)
	}
	if err == nil && answer == nil {
		answer = longwire.Raw{} // it has no data
	}
	return answer, err
}

func (s *send) print(t longwire.Type, answer []byte) error {
	var v any = newLine(t, answer)
	if isJSON(answer) {
		v = json.RawMessage(answer)
	}
	line, err := appendJSONLine(nil, v)
	if err != nil {
		return err
	}
	if _, err := s.cmd.OutOrStdout().Write(line); err != nil {
		return fmt.Errorf("cannot print the answer: %w", innermost(err))
	}
	return nil
}

// problem makes an error of the library into a sentence.
func (s *send) problem(err error) error {
	if e, ok := errors.AsType[*longwire.RemoteError](err); ok {
		return fmt.Errorf("the answer has status %.64q: %.256q", e.Status, e.Message)
	}
	if e, ok := errors.AsType[*longwire.CloseError](err); ok {
		return fmt.Errorf("the connection ended before the answer came: %w", e)
	}
	if e, ok := errors.AsType[*frame.Error](err); ok && e.Reason == frame.TooLarge {
		return fmt.Errorf("the message makes a frame of %d bytes or more, and the limit is %d; --max-frame raises it", e.Got, e.Want)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer came within %v", &s.timeout)
	}
	return err
}
