package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/longwire/longwire/internal/config"
)

const (
	hash   = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
	hashed = "{a: '" + hash + "'}"
)

// broken has files with one mistake each, and where that is.
var broken = []struct {
	yaml    string
	line    int
	setting string
}{
	// What is no YAML, or no configuration.
	{"a: b: c\n", 1, ""},
	{"http:\n  address: off\n timeout: 1s\n", 3, ""},
	{"http: {address: off\nack: never\n", 2, ""},
	{"data: 'x\nack: never\n", 1, ""},
	{"ack: never\nhttp:\n\taddress: off\n", 3, ""},
	{"ack: never\nheartbeat\ndata: x\n", 2, ""},
	{"listeners:\n  - name: a\n  \taddress: :1\n", 3, ""},
	{"ack: never\ndata: \"x\n\n  \\y\"\n", 4, ""},
	{"ack: *nothing\n", 1, ""},
	{"ack: @never\n", 1, ""},
	{"ack: [never\n", 2, ""},
	{"ack: never\ndata: \"\xff\"\n", 2, ""},
	{"ack: never\n\ndata: \"\x01\"\n", 3, ""},
	{"ack: never\n---\nack: always\n", 2, ""},
	{"ack: never\n- ack\n", 2, ""},
	{"ack: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), 1, ""},
	{"\n# nothing but a list\n- ack: never\n", 3, ""},
	{"longwire", 1, ""},

	// What cannot be set, or is set in a wrong way.
	{"ack: never\nhartbeat: 1m\n", 2, "hartbeat"},
	{"http:\n  # comment\n  adress: off\n", 3, "http.adress"},
	{"http.address: off\n", 1, "http.address"},
	{"listen: :1\n", 1, "listen"},
	{"http:\n  cert_file: x\n", 2, "http.cert_file"},
	{"listeners:\n  - name: a\n    fram: {}\n", 3, "listeners[0].fram"},
	{"types:\n  a:\n    type: 1\n    akc: never\n", 4, "types.a.akc"},
	{"Ack: never\n", 1, "Ack"},
	{"\"\": 1\n", 1, `[""]`},
	{"? [a, b]\n: c\n", 1, ""},
	{"ack: never\n~: 1\n", 2, ""},
	{"ack: never\nack: always\n", 2, "ack"},
	{"http:\n  address: off\n  max_body: 1MiB\n  address: off\n", 4, "http.address"},
	{"types:\n  a: 1\n  a: 1\n", 3, "types.a"},
	{"x: &x {address: off}\n", 1, "x"},
	{"http:\n  <<: {address: off}\n", 2, "http"},
	{"data:\n", 1, "data"},
	{"listeners:\n", 1, "listeners"},
	{"http:\n  tls:\n", 2, "http.tls"},
	{"data: null\n", 1, "data"},
	{"data: !dir x\n", 1, "data"},
	{"data: [x]\n", 1, "data"},
	{"data: {x: y}\n", 1, "data"},
	{"data: |\n  x\n  y\n", 1, "data"},
	{"data: \"a\\tb\"\n", 1, "data"},
	{"http: off\n", 1, "http"},
	{"http: [off]\n", 1, "http"},
	{"listeners: {name: a}\n", 1, "listeners"},
	{"listeners: boards\n", 1, "listeners"},
	{"listeners:\n  - boards\n", 2, "listeners[0]"},
	{"types: [a]\n", 1, "types"},
	{"types:\n  a: [1]\n", 2, "types.a"},
	{"http:\n  allowed_hosts: a.example\n", 2, "http.allowed_hosts"},
	{"devices:\n  groups: {a: b}\n", 2, "devices.groups.a"},
	{"devices:\n  attributes: {a: b}\n", 2, "devices.attributes.a"},

	// Values.
	{"heartbeat: soon\n", 1, "heartbeat"},
	{"heartbeat: 60\n", 1, "heartbeat"},
	{"heartbeat: -1s\n", 1, "heartbeat"},
	{"drain_timeout: 1w\n", 1, "drain_timeout"},
	{"http:\n  max_body: 1MB\n", 2, "http.max_body"},
	{"http:\n  max_body: -1\n", 2, "http.max_body"},
	{"http:\n  max_body: 0\n", 2, "http.max_body"},
	{"http:\n  max_body: off\n", 2, "http.max_body"},
	{"http:\n  max_body: auto\n", 2, "http.max_body"},
	{"http:\n  max_body: 99999999999GiB\n", 2, "http.max_body"},
	{"http:\n  timeout: 0s\n", 2, "http.timeout"},
	{"ack: sometimes\n", 1, "ack"},
	{"ack: true\n", 1, "ack"},
	{"data: \"\"\n", 1, "data"},
	{"devices:\n  max: 1e3\n", 2, "devices.max"},
	{"devices:\n  max: 4294967296\n", 2, "devices.max"},
	{"devices:\n  frame_data: yes\n  frames: 1\n", 2, "devices.frame_data"},
	{"log:\n  level: loud\n", 2, "log.level"},
	{"log:\n  format: xml\n", 2, "log.format"},
	{"log:\n  max_size: 512KiB\n", 2, "log.max_size"},
	{"log:\n  max_age: 36h\n", 2, "log.max_age"},
	{"log:\n  max_files: many\n", 2, "log.max_files"},

	// Listeners.
	{"listeners: []\n", 1, "listeners"},
	{"listeners:\n  - name: Boards\n", 2, "listeners[0].name"},
	{"listeners:\n  - name: \"\"\n", 2, "listeners[0].name"},
	{"listeners:\n  - name: a\n  - name: a\n    address: 127.0.0.1:2\n", 3, "listeners[1].name"},
	{"listeners:\n  - name: a\n  - address: 127.0.0.1:2\n", 3, "listeners[1]"},
	{"listeners:\n  - name: a\n  - name: b\n", 3, "listeners[1]"},
	{"listeners:\n  - name: a\n  - name: b\n    address: localhost:10302\n", 4, "listeners[1].address"},
	{"listeners:\n  - name: a\n    address: :1\n    allow_anonymous: true\n  - name: b\n    address: 127.0.0.1:1\n", 6, "listeners[1].address"},
	{"listeners:\n  - address: 127.0.0.1\n", 2, "listeners[0].address"},
	{"listeners:\n  - address: 127.0.0.1:70000\n", 2, "listeners[0].address"},
	{"listeners:\n  - address: 1.2.3:1\n    allow_anonymous: true\n", 2, "listeners[0].address"},
	{"listeners:\n  - address: a b:1\n    allow_anonymous: true\n", 2, "listeners[0].address"},
	{"listeners:\n  - address: off\n", 2, "listeners[0].address"},
	{"listeners:\n  - policy: newest\n", 2, "listeners[0].policy"},
	{"listeners:\n  - max_frame: 8\n", 2, "listeners[0].max_frame"},
	{"listeners:\n  - max_frame: 128KiB\n    frame: {length: {width: 2}}\n", 2, "listeners[0].max_frame"},
	{"listeners:\n  - resync: 1KiB\n    frame: {tail: \"\"}\n", 2, "listeners[0].resync"},
	{"listeners:\n  - limits:\n      handshakes: 0\n", 3, "listeners[0].limits.handshakes"},
	{"listeners:\n  - limits:\n      strangers: auto\n", 3, "listeners[0].limits.strangers"},
	{"listeners:\n  - limits: {byte_rate: fast}\n", 2, "listeners[0].limits.byte_rate"},
	{"listeners:\n  - times:\n      admit: 10\n", 3, "listeners[0].times.admit"},

	// Frames.
	{"listeners:\n  - frame:\n      head: c\n", 3, "listeners[0].frame.head"},
	{"listeners:\n  - frame:\n      head: c8c8c8c8c8\n", 3, "listeners[0].frame.head"},
	{"listeners:\n  - frame:\n      tail: 0x0d\n", 3, "listeners[0].frame.tail"},
	{"listeners:\n  - frame:\n      tail: 0d0a0d0a0d\n", 3, "listeners[0].frame.tail"},
	{"listeners:\n  - frame:\n      length: {width: 3}\n", 3, "listeners[0].frame.length.width"},
	{"listeners:\n  - frame:\n      length:\n        offset: 0\n", 4, "listeners[0].frame.length.offset"},
	{"listeners:\n  - frame:\n      length: {counts: all}\n", 3, "listeners[0].frame.length.counts"},
	{"listeners:\n  - frame:\n      length: {width: -1}\n", 3, "listeners[0].frame.length.width"},
	{"listeners:\n  - frame:\n      type: {width: 3}\n", 3, "listeners[0].frame.type.width"},
	{"listeners:\n  - frame:\n      type: {offset: 9}\n", 3, "listeners[0].frame.type.offset"},
	{"listeners:\n  - frame:\n      type: {offset: 1, width: 0}\n", 3, "listeners[0].frame.type.offset"},
	{"listeners:\n  - frame:\n      order: middle\n", 3, "listeners[0].frame.order"},
	{"listeners:\n  - frame:\n      checksum: crc17\n", 3, "listeners[0].frame.checksum"},
	{"listeners:\n  - frame:\n      checksum: {kind: crc32, from: 8}\n", 3, "listeners[0].frame.checksum.from"},
	{"listeners:\n  - frame:\n      checksum:\n        order: little\n", 3, "listeners[0].frame.checksum"},

	// Who may connect.
	{"listeners:\n  - name: a\n    address: :10302\n", 3, "listeners[0].address"},
	{"listeners:\n  - address: 0.0.0.0:10302\n    login: {hello: false}\n", 2, "listeners[0].address"},
	{"listeners:\n  - address: gateway.example:10302\n", 2, "listeners[0].address"},
	{"listeners:\n  - address: '[::]:10302'\n    tls: {cert_file: a, key_file: b}\n", 2, "listeners[0].address"},
	{"listeners:\n  - allow_anonymous: maybe\n", 2, "listeners[0].allow_anonymous"},
	{"listeners:\n  - login:\n      hello: true\n", 3, "listeners[0].login.hello"},
	{"listeners:\n  - login:\n      tokens: " + hashed + "\n      hello: false\n", 2, "listeners[0].login"},
	{"listeners:\n  - frame: {type: {width: 1}}\n    login:\n      tokens: " + hashed + "\n      hello: true\n", 5, "listeners[0].login.hello"},
	{"listeners:\n  - login:\n      certificate: true\n", 3, "listeners[0].login.certificate"},
	{"listeners:\n  - login:\n      token_url: ftp://a/\n", 3, "listeners[0].login.token_url"},
	{"listeners:\n  - login:\n      token_url: http://\n", 3, "listeners[0].login.token_url"},
	{"listeners:\n  - login:\n      token_url: http://a/#b\n", 3, "listeners[0].login.token_url"},
	{"listeners:\n  - login:\n      token_url: http://a/\n      token_timeout: off\n", 4, "listeners[0].login.token_timeout"},
	{"listeners:\n  - login:\n      tokens:\n        a: secret\n", 4, "listeners[0].login.tokens.a"},
	{"listeners:\n  - login:\n      tokens:\n        a: 'sha256:…'\n", 4, "listeners[0].login.tokens.a"},
	{"listeners:\n  - login:\n      tokens:\n        a: sha256:abc\n", 4, "listeners[0].login.tokens.a"},
	{"listeners:\n  - login:\n      tokens:\n        a b: " + hash + "\n", 4, `listeners[0].login.tokens["a b"]`},
	{"listeners:\n  - login:\n      tokens: " + hashed + "\n      fleet: {id: /id, token: /t}\n", 4, "listeners[0].login.fleet"},
	{"listeners:\n  - login:\n      tokens: " + hashed + "\n      fleet: {type: 1, token: /t}\n", 4, "listeners[0].login.fleet"},
	{"listeners:\n  - login:\n      fleet:\n        type: 0xff00\n        id: /id\n", 4, "listeners[0].login.fleet.type"},
	{"listeners:\n  - login:\n      fleet:\n        id: id\n        type: 1\n", 4, "listeners[0].login.fleet.id"},
	{"listeners:\n  - login:\n      fleet:\n        type: 1\n        id: /id~2\n", 5, "listeners[0].login.fleet.id"},
	{"listeners:\n  - login:\n      fleet:\n        type: 1\n        id: /id\n        token: /token\n", 6, "listeners[0].login.fleet.token"},
	{"listeners:\n  - frame: {type: {width: 1}}\n    login:\n      tokens_file: a\n      fleet:\n        type: 0x100\n        id: /id\n        token: /t\n", 6, "listeners[0].login.fleet.type"},
	{"listeners:\n  - login:\n      tokens: " + hashed + "\n      fleet: {type: 1, id: /id}\n", 4, "listeners[0].login.fleet"},
	{"listeners:\n  - tls:\n      cert_file: a\n", 2, "listeners[0].tls"},
	{"listeners:\n  - tls: {key_file: a}\n", 2, "listeners[0].tls"},

	// HTTP.
	{"http:\n  address: :10380\n", 2, "http.address"},
	{"http:\n  address: 0.0.0.0:10380\n  tls: {cert_file: a, key_file: b}\n", 2, "http.address"},
	{"http:\n  address: 127.0.0.1:10302\n", 2, "http.address"},
	{"http:\n  address: 10380\n", 2, "http.address"},
	{"http:\n  tls: {cert_file: a}\n", 2, "http.tls"},
	{"http:\n  tokens: [" + hash + "]\n", 2, "http.tokens"},
	{"http:\n  tokens:\n    ops: letmein\n", 3, "http.tokens.ops"},
	{"http:\n  tokens:\n    \"\": " + hash + "\n", 3, `http.tokens[""]`},
	{"http:\n  allowed_hosts:\n    - a.example\n    - b.example:80\n", 4, "http.allowed_hosts[1]"},

	// Types of messages.
	{"types:\n  a: 0x\n", 2, "types.a"},
	{"types:\n  a: 010\n", 2, "types.a"},
	{"types:\n  a: 0xff01\n", 2, "types.a"},
	{"types:\n  a: 4294967296\n", 2, "types.a"},
	{"types:\n  a: 0x10000\n", 2, "types.a.type"},
	{"types:\n  a: 1\n  b: 0x01\n", 3, "types.b.type"},
	{"types:\n  1a: 1\n", 2, "types.1a"},
	{"types:\n  a: {ack: never}\n", 2, "types.a"},
	{"types:\n  a:\n    type: 1\n    ack: no\n", 4, "types.a.ack"},
	{"types:\n  a:\n    type: 1\n    forward: readings\n", 4, "types.a.forward"},
	{"types:\n  a:\n    type: 1\n    overflow: drop\n", 4, "types.a.overflow"},
	{"listeners:\n  - soft_outbox_time: off\n", 2, "listeners[0].soft_outbox_time"},
	{"forward:\n  url: 127.0.0.1:80\n", 2, "forward.url"},
	{"forward:\n  in_flight: 0\n", 2, "forward.in_flight"},

	// What is kept.
	{"data: off\ncommands:\n  unknown: true\n", 3, "commands.unknown"},
	{"types:\n  a: {type: 1, store: true}\ndata: off\n", 2, "types.a.store"},
	{"types:\n  a:\n    type: 1\n    store: on\n", 4, "types.a.store"},
	{"data: off\nevents:\n  deliver:\n    url: http://a/\n", 4, "events.deliver.url"},
	{"events:\n  deliver: {url: a}\n", 2, "events.deliver.url"},
	{"events:\n  deliver: {in_flight: 0}\n", 2, "events.deliver.in_flight"},
	{"events:\n  max_age: off\n", 2, "events.max_age"},
	{"events:\n  max_size: 0\n", 2, "events.max_size"},
	{"store:\n  url: http://a:4222\n", 2, "store.url"},
	{"store:\n  url: nats://a:4222,b\n", 2, "store.url"},
	{"store:\n  url: letmein@a:4222\n", 2, "store.url"},
	{"store:\n  url: nats://a\ndata: /var/lib/longwire\n", 3, "data"},
	{"store:\n  url: nats://a\n  reserve: 1GiB\n", 3, "store.reserve"},
	{"store:\n  credentials_file: a\n", 2, "store.credentials_file"},
	{"store:\n  replicas: 3\n", 2, "store.replicas"},
	{"store:\n  url: nats://a\n  replicas: 6\n", 3, "store.replicas"},
	{"store:\n  replicas: 0\n", 2, "store.replicas"},
	{"store: off\n", 1, "store"},
	{"commands:\n  max: off\n", 2, "commands.max"},
	{"commands:\n  ttl: 0\n", 2, "commands.ttl"},
	{"commands:\n  attempts: 0\n", 2, "commands.attempts"},
	{"commands:\n  max_size: 1MiB\n  max_bytes: 2MiB\n", 3, "commands.max_bytes"},
	{"commands: {in_flight: 10, window: 11}\n", 1, "commands.window"},

	// Devices.
	{"devices:\n  groups:\n    a b: [c]\n", 3, `devices.groups["a b"]`},
	{"devices:\n  groups:\n    a: [b, c d]\n", 3, "devices.groups.a[1]"},
	{"devices:\n  groups:\n    a: [.., ...]\n", 3, "devices.groups.a[0]"},
	{"listeners:\n  - login:\n      tokens:\n        .: " + hash + "\n", 4, "listeners[0].login.tokens.."},
	{"devices:\n  groups:\n    a:\n      - b\n      - b\n", 5, "devices.groups.a[1]"},
	{"devices:\n  attributes:\n    a/b: {c: d}\n", 3, `devices.attributes["a/b"]`},
	{"devices:\n  attributes:\n    a:\n      b c: d\n", 4, `devices.attributes.a["b c"]`},
	{"devices:\n  attributes:\n    a:\n      b: " + strings.Repeat("c", 257) + "\n", 4, "devices.attributes.a.b"},
	{"devices:\n  frame_data: true\n", 2, "devices.frame_data"},
	{"devices:\n  known_for: ever\n", 2, "devices.known_for"},
}

func TestBroken(t *testing.T) {
	if len(broken) < 100 {
		t.Errorf("%d files", len(broken))
	}
	seen := make(map[string]bool)
	for _, test := range broken {
		if seen[test.yaml] {
			t.Errorf("%q is there twice", test.yaml)
		}
		seen[test.yaml] = true
		_, err := config.Parse("f.yaml", []byte(test.yaml))
		problems, ok := errors.AsType[config.Problems](err)
		if !ok || len(problems) != 1 {
			t.Errorf("%q: %v\nwant one problem", test.yaml, err)
			continue
		}
		p := problems[0]
		if p.File != "f.yaml" || p.Line != test.line || p.Setting != test.setting {
			t.Errorf("%q:\n%v\nwant line %d, %s", test.yaml, p, test.line, test.setting)
		}
		if strings.ContainsAny(p.Error(), "\n\r") || strings.Contains(p.Error(), "letmein") {
			t.Errorf("%q: %v", test.yaml, p)
		}
		t.Log(p)
	}
}
