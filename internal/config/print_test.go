package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/longwire/longwire/internal/config"
)

const everything = `
listeners:
  - name: boards
    address: "[::]:10302"
    policy: reject
    frame: {head: "00", length: {width: 2, counts: rest}, type: {width: 4}, order: little, checksum: {kind: crc16_modbus, order: big}, tail: ""}
    max_frame: off
    resync: 0
    soft_outbox: 5KiB
    min_rate: off
    tls: {cert_file: "a file.crt", key_file: "yes", client_ca_file: "1e3"}
    login:
      certificate: true
      fleet: {type: 0x01, id: "/a~1b/0", token: "/to ken"}
      tokens: {"7": "` + hash + `", a.b: "` + hash + `"}
      token_timeout: 1m30s
    limits: {connections: off, waiting: 64MiB, unfinished: auto}
    times: {admit: 36h}
  - name: "0"
    address: localhost:0
    allow_anonymous: false
    login: {token_url: "https://user:secret@host/path?key=secret"}
http:
  address: gateway.example:10380
  tokens: {"null": "` + hash + `"}
  tls: {cert_file: c, key_file: d}
  allowed_hosts: [a.example, "true"]
types: {x: {type: 1, overflow: drop_oldest}, y: 0xFEFF, reading: {type: 32, ack: never, forward: "http://user:secret@h/?key=secret"}, "n": {type: 33, store: true}}
ack: asked
forward: {url: "http://u@h", timeout: 1d, token_file: "~"}
devices:
  known_for: off
  groups: {"0:0": [a, "1", "2024-01-01", "-", "..."], empty: []}
  attributes: {a: {"1.5": "\"quoted\" # no comment: \\", b: ""}, b: {}}
  frames: 3
  frame_data: true
log: {file: "- x", level: debug, max_age: off}
data: off
store: {url: "nats://user:secret@a:4222, tls://b", replicas: 3, reserve: off, credentials_file: "Gerät: 7"}
commands: {max: 5, ttl: 36h, unknown: true, keep: 1d}
events: {max_age: 1h, deliver: {url: "http://user:secret@h/?key=secret", token_file: "t 1"}}
`

func TestPrintedIsTheSame(t *testing.T) {
	c := mustParse(t, everything)
	again, err := config.Parse("printed.yaml", c.Reveal())
	if err != nil {
		t.Fatalf("%v\n%s", err, c.Reveal())
	}
	if applied, restart := config.Changes(c, again); len(applied)+len(restart) > 0 {
		t.Errorf("%q %q", applied, restart)
	}
	if applied, restart := config.Changes(config.Default(), mustParse(t, string(config.Default().YAML()))); len(applied)+len(restart) > 0 {
		t.Errorf("%q %q", applied, restart)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	text := string(mustParse(t, everything).YAML())
	for _, secret := range []string{"secret", "user", hash, hash[8:]} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in\n%s", secret, text)
		}
	}
	for _, want := range []string{`a.b: "sha256:…"`, `token_url: "https://hidden@host/path?hidden"`, "cert_file: \"a file.crt\""} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	_, err := config.Parse("f.yaml", []byte(text))
	problems, _ := errors.AsType[config.Problems](err)
	if len(problems) != 3 || problems[0].Setting != "listeners[0].login.tokens.7" {
		t.Errorf("read again: %v", err)
	}
}

// Whoever looks for where a value is from finds it beside the value.
func TestPrintedSaysFromWhere(t *testing.T) {
	c := mustParse(t, "\nheartbeat: 5s\ndevices:\n  attributes: {a: {b: c}}\n", config.Flag("log-level", "warn"),
		config.Environment([]string{"LONGWIRE_LISTEN=127.0.0.1:7"})[0])
	text := string(c.YAML())
	for _, want := range []string{
		"\nheartbeat: 5s  # f.yaml:2\n",
		"\n      b: c  # f.yaml:4\n",
		"\n  level: warn  # --log-level\n",
		"\n    address: 127.0.0.1:7  # LONGWIRE_LISTEN\n",
		"\ndrain_timeout: 10s\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// The documented defaults are the defaults, and what stands there in comments can be
// taken out of them.
func TestDocumented(t *testing.T) {
	text := string(config.Documented())
	if applied, restart := config.Changes(config.Default(), mustParse(t, text)); len(applied)+len(restart) > 0 {
		t.Errorf("%q %q", applied, restart)
	}
	for line := range strings.Lines(text) {
		if len(line) > 101 || strings.HasSuffix(line, " \n") {
			t.Errorf("%q", line)
		}
	}
	text = strings.ReplaceAll(uncommented(text), "sha256:…", hash)
	c := mustParse(t, text)
	l := c.Listeners[0]
	if l.TLS == nil || l.TLS.ClientCAFile != "boards-ca.crt" || l.Login.Fleet == nil || l.Login.Fleet.Token != "/token" || len(l.Login.Tokens) != 1 ||
		len(c.Types) != 1 || len(c.Devices.Groups) != 1 || len(c.Devices.Attributes) != 1 || len(c.HTTP.Tokens) != 1 || c.HTTP.TLS == nil {
		t.Errorf("%s\n%+v", text, c)
	}
}

// Every setting says what it means, in sentences.
func TestEverySettingIsDocumented(t *testing.T) {
	config.EachSetting(func(path, _, _, doc string, _, _ bool) {
		if !strings.HasSuffix(doc, ".") || strings.ToUpper(doc[:1]) != doc[:1] {
			t.Errorf("%s: %q", path, doc)
		}
	})
}
