package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/gateway"
)

// ask is the command "longwire ask" with its flags.
type ask struct {
	api
	content
	timeout duration
	match   word
	asJSON  bool
}

// aboutData is a part of the explanation of the commands that send something.
const aboutData = `TYPE is a number, as in 16 or 0x10, or a name of the gateway's configuration.

DATA is JSON, which the device receives in an envelope:
  '{"rom":"status"}'   this JSON
  66666                this number
  '"on"'               this text
  @question.json       what the file question.json holds
  -                    what stdin holds
With --raw DATA may be anything, and the device receives it as it is, without an
envelope; @@home is the text @home then.`

func newAsk() *cobra.Command {
	a := &ask{timeout: duration(10 * time.Second), match: word{"", []string{"key", "type"}}}
	cmd := &cobra.Command{
		Use:   "ask ID TYPE DATA",
		Short: "Ask a device, and print its answer",
		Long: `Ask has a gateway ask a device, and prints the data of the device's answer as one
line of JSON. The exit status is 0 when an answer came and, if it has a status, that
is one of 200 to 299. The data of other answers is printed all the same.

` + aboutData + `

An answer is what repeats the question's call_back_key. One to raw data is the next
message of the same type, which --match type makes the rule for other data too. An
answer that is no envelope is printed as it is when it is JSON, as {"text":"…"} when
it is text, and otherwise as {"base64":"…"}.

` + aboutAPI,
		Example: `  longwire ask meter-7 16 '{"rom":"status"}'
  longwire ask meter-7 rom_reset_status null --timeout 30s
  longwire ask plc-3 0x21 --hex '01 03 00 00'`,
		Args:              arguments("ID", "TYPE", "DATA"),
		ValidArgsFunction: completeData(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.run(cmd.Context(), args[0], args[1], args[2])
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Var(&a.timeout, "timeout", "how long the device may take")
	f.Var(&a.match, "match", "what the answer is: what repeats the key, or the next message of the type; key or type")
	a.content.addFlags(cmd)
	f.BoolVar(&a.asJSON, "json", false, "print the whole answer, with status and message")
	completeWord(cmd, "match", a.match)
	a.api.addFlags(cmd)
	return cmd
}

func (a *ask) run(ctx context.Context, id, typ, data string) error {
	if a.timeout == 0 {
		return usagef("--timeout: must be more than 0")
	}
	if err := a.checkDevice(id); err != nil {
		return err
	}
	m, err := a.message(typ, data, a.cmd.InOrStdin())
	if err != nil {
		return err
	}
	return a.api.ask(ctx, func(ctx context.Context, c *client.Client) error {
		body, err := c.Ask(ctx, id, m, gateway.Match(a.match.chosen), time.Duration(a.timeout))
		if err != nil {
			return err
		}
		return a.show(id, body)
	})
}

// show prints an answer. One with a status that is no success is an error too.
func (a *ask) show(id string, body json.RawMessage) error {
	var answer gateway.Answer
	if json.Unmarshal(body, &answer) != nil {
		return &client.StrangeError{Status: 200}
	}
	if !a.asJSON {
		body = answer.Data
		if answer.Raw != nil {
			var err error
			if body, err = rawJSON(answer.Raw); err != nil {
				return err
			}
		}
	}
	if err := a.printJSON(body); err != nil {
		return err
	}
	if answer.Raw == nil && !isSuccess(answer.Status) {
		return fmt.Errorf("%s answered with status %.64q: %.256q", id, answer.Status, answer.Message)
	}
	return nil
}

// rawJSON returns what is no envelope as JSON.
func rawJSON(raw []byte) (json.RawMessage, error) {
	if isJSON(raw) {
		return raw, nil
	}
	l := newLine(0, raw)
	return json.Marshal(struct {
		Text   *string `json:"text,omitempty"`
		Base64 *string `json:"base64,omitempty"`
	}{l.Text, l.Base64})
}

// isSuccess reports whether a status is one of 200 to 299.
func isSuccess(status string) bool {
	return len(status) == 3 && status[0] == '2' && '0' <= status[1] && status[1] <= '9' && '0' <= status[2] && status[2] <= '9'
}

// content is what is sent to a device, as flags say.
type content struct{ raw, hex bool }

func (c *content) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.raw, "raw", false, "send DATA as it is, without an envelope")
	cmd.Flags().BoolVar(&c.hex, "hex", false, "DATA is hexadecimal digits, and spaces between them, of what is sent as it is")
}

// maxData bounds DATA. What a gateway takes is less.
const maxData = 16 * mib

// message makes the arguments into the message to send.
func (c *content) message(typ, arg string, stdin io.Reader) (m client.Message, err error) {
	if m.Type = typ; typ == "" {
		return m, usagef("TYPE is empty; write a number or a name of the configuration")
	}
	data, err := readData(arg, stdin, int(maxData))
	switch {
	case err != nil:
		return m, err
	case len(data) > int(maxData):
		return m, usagef("DATA has more than %v", maxData)
	case c.hex:
		m.Raw, err = decodeHex(data)
	case c.raw:
		m.Raw = data
	case !isJSON(data):
		return m, usagef(`DATA is no JSON; a text is JSON when it stands in double quotes, as in '"on"', and --raw sends anything as it is`)
	default:
		m.Data = bytes.TrimSpace(data)
	}
	if m.Raw == nil && m.Data == nil {
		m.Raw = []byte{}
	}
	return m, err
}

// completeData completes the argument DATA, which may be the name of a file.
func completeData(position int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == position {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}
