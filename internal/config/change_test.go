package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/longwire/longwire/internal/config"
)

func TestChanges(t *testing.T) {
	const before = `
listeners:
  - name: a
    address: 127.0.0.1:1
    login: {tokens: {m: "` + hash + `"}}
  - name: b
    address: 127.0.0.1:2
http: {tokens: {ops: "` + hash + `"}}
types: {x: 1, y: 2}
devices: {groups: {g: [a], h: [b]}, attributes: {a: {k: v}}}
`
	for _, test := range []struct {
		from, to         string // in before
		applied, restart []string
	}{
		{"", "", nil, nil},
		{"m: ", "n: ", []string{"listeners[0].login.tokens"}, nil},
		{"ops: ", "admin: ", []string{"http.tokens"}, nil},
		{"x: 1, y: 2", "x: 1, z: 3", []string{"types.y", "types.z"}, nil},
		{"y: 2", "y: {type: 2, overflow: latest}", nil, []string{"types.y.overflow"}},
		{"y: 2", "z: {type: 2, overflow: latest}", []string{"types.y", "types.z"}, []string{"types.z.overflow"}},
		{"types:", "ack: never\ntypes:", []string{"ack", "types.x.ack", "types.y.ack"}, nil},
		{"types:", "commands: {unknown: true, ttl: 1h}\nevents: {max_age: 1d, deliver: {url: 'http://a/'}}\nstore: {reserve: off}\ntypes:", []string{"commands.unknown"}, []string{"store.reserve", "commands.ttl", "events.max_age", "events.deliver.url"}},
		{"y: 2", "y: {type: 2, store: true}", []string{"types.y.store"}, nil},
		{"g: [a]", "g: [a, c]", []string{"devices.groups.g"}, nil},
		{"k: v", "k: w", []string{"devices.attributes.a"}, nil},
		{"http: {", "http: {address: off, ", nil, []string{"http.address"}},
		{"http: {", "http: {tls: {cert_file: a, key_file: b}, max_body: 2MiB, ", nil, []string{"http.tls", "http.max_body"}},
		{"127.0.0.1:2", "127.0.0.1:3", nil, []string{"listeners[1].address"}},
		{"name: b", "name: b\n    frame: {order: little}\n    policy: reject", []string{"listeners[1].policy"}, []string{"listeners[1].frame.order"}},
		{"name: b", "name: b\n    limits: {strangers: 5}\n    times: {ping: off}", nil, []string{"listeners[1].limits.strangers", "listeners[1].times.ping"}},
		{"name: b", "name: c", nil, []string{"listeners[1]", "listeners.b"}},
		{"types:", "data: /x\nlog: {level: debug, file: y}\nheartbeat: 1s\ntypes:", []string{"log.level", "heartbeat"}, []string{"data", "log.file"}},
	} {
		applied, restart := config.Changes(mustParse(t, before), mustParse(t, strings.Replace(before, test.from, test.to, 1)))
		if !reflect.DeepEqual(applied, test.applied) || !reflect.DeepEqual(restart, test.restart) {
			t.Errorf("%q to %q:\n%q %q\nwant %q %q", test.from, test.to, applied, restart, test.applied, test.restart)
		}
	}
}

func TestChangesOfListenersInAnotherOrder(t *testing.T) {
	old := mustParse(t, "listeners: [{name: a, address: 'localhost:1'}, {name: b, address: 'localhost:2'}]")
	later := mustParse(t, "listeners: [{name: b, address: 'localhost:2', policy: single}, {name: a, address: 'localhost:1'}]")
	if applied, restart := config.Changes(old, later); !reflect.DeepEqual(applied, []string{"listeners[0].policy"}) || len(restart) > 0 {
		t.Errorf("%q %q", applied, restart)
	}
}

// What is in force after a reload is what could change of the new configuration, and
// the rest of the old one. The next reload says again what needs a restart.
func TestMerge(t *testing.T) {
	old := mustParse(t, "listeners: [{name: a, address: 'localhost:1'}, {name: b, address: 'localhost:2'}]\ndata: old\n")
	later := mustParse(t, `
listeners:
  - {name: b, address: 'localhost:3', policy: single, limits: {strangers: 5}, login: {tokens: `+hashed+`}}
  - {name: c, address: 'localhost:4'}
http: {address: off, timeout: 5s}
types: {x: {type: 1, overflow: close}}
log: {level: debug, file: f}
data: new
`)
	merged, err := config.Merge(old, later)
	if err != nil {
		t.Fatal(err)
	}
	if applied, restart := config.Changes(old, merged); len(restart) > 0 || len(applied) != 5 {
		t.Errorf("%q %q", applied, restart)
	}
	wantApplied, wantRestart := config.Changes(old, later)
	if len(wantApplied) != 5 || len(wantRestart) != 9 {
		t.Errorf("%q %q", wantApplied, wantRestart)
	}
	if applied, restart := config.Changes(merged, later); len(applied) > 0 || !reflect.DeepEqual(restart, wantRestart) {
		t.Errorf("%q %q, want %q", applied, restart, wantRestart)
	}
	b := merged.Listeners[1]
	if len(merged.Listeners) != 2 || b.Name != "b" || b.Address != "localhost:2" || b.Policy != "single" || !b.Login.Hello || b.Limits.Strangers != 1000 {
		t.Errorf("%+v", merged.Listeners)
	}
	if old.Listeners[1].Policy != config.Takeover || later.Data != "new" {
		t.Error("one of both has been changed")
	}
}

// An address that others can reach stays until a restart, so its login has to stay as
// long.
func TestMergeThatWouldOpenTheGateway(t *testing.T) {
	old := mustParse(t, "listeners: [{name: a, address: ':1', login: {tokens: "+hashed+"}}]\nhttp: {address: ':2', tokens: "+hashed+"}\n")
	for _, text := range []string{
		"listeners: [{name: a, address: 'localhost:1'}]\nhttp: {address: ':2', tokens: " + hashed + "}\n",
		"listeners: [{name: a, address: ':1', login: {tokens: " + hashed + "}}]\nhttp: {address: 'localhost:2'}\n",
	} {
		if merged, err := config.Merge(old, mustParse(t, text)); err == nil {
			t.Errorf("%s\nmakes %+v", text, merged)
		} else {
			t.Log(err)
		}
	}
}

// What is to be kept needs a place, which comes with a restart.
func TestMergeThatWouldKeepNowhere(t *testing.T) {
	old := mustParse(t, "data: off\n")
	for _, text := range []string{
		"types: {a: {type: 1, store: true}}\n",
		"commands: {unknown: true}\n",
	} {
		if merged, err := config.Merge(old, mustParse(t, text)); err == nil {
			t.Errorf("%s\nmakes %+v", text, merged)
		} else {
			t.Log(err)
		}
	}
	if _, err := config.Merge(old, mustParse(t, "heartbeat: 2m\n")); err != nil {
		t.Error(err)
	}
}
