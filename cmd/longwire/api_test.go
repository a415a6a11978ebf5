package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// apiTest is a test of the commands that ask a gateway, with a directory for contexts of
// its own.
type apiTest struct{ *testing.T }

func newAPITest(t *testing.T) apiTest {
	dir := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(name, dir)
	}
	for _, name := range []string{"API", "CONTEXT", "API_TOKEN", "TOKEN_FILE", "CA_FILE"} {
		t.Setenv("LONGWIRE_"+name, "")
	}
	return apiTest{t}
}

// run runs the command.
func (t apiTest) run(args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	status = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// want runs the command, and checks its exit status.
func (t apiTest) want(status int, args ...string) (stdout, stderr string) {
	t.Helper()
	got, stdout, stderr := t.run(args...)
	if got != status {
		t.Fatalf("longwire %s: exit status %d, want %d: %s", strings.Join(args, " "), got, status, stderr)
	}
	return stdout, stderr
}

// file writes a file, and returns its name.
func (t apiTest) file(text string) string {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// gateway responds to every request, and returns its address.
func (t apiTest) gateway(h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// responds responds with a body to every request.
func responds(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// A token is shown only to the gateway that it is for, and never to people.
func TestTokenIsForOneGateway(t *testing.T) {
	at := newAPITest(t)
	shown := make(map[string]string) // by gateway
	gateway := func(name string) string {
		return at.gateway(func(w http.ResponseWriter, r *http.Request) {
			shown[name] = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			responds(401, "application/problem+json", `{"detail":"The token is not one of those that are configured."}`)(w, r)
		})
	}
	a, b, c := gateway("a"), gateway("b"), gateway("c")
	file := at.file("secret-file\n")
	at.want(exitDone, "context", "set", "a", "--api", a, "--token", "secret-a")
	at.want(exitDone, "context", "set", "b", "--api", b)
	at.want(exitDone, "context", "set", "c", "--api", c, "--token-file", file)
	at.want(exitDone, "context", "use", "a")

	for _, test := range []struct {
		about       string
		environment map[string]string
		args        []string
		gateway     string
		token       string
	}{
		{"the context in use", nil, nil, "a", "secret-a"},
		{"another context", nil, []string{"--context", "b"}, "b", ""},
		{"a context with a file", nil, []string{"--context", "c"}, "c", "secret-file"},
		{"an address has no part in the context", nil, []string{"--api", b}, "b", ""},
		{"nor when it is the same", nil, []string{"--api", a}, "a", ""},
		{"nor in the environment", map[string]string{"API": b}, nil, "b", ""},
		{"a file for the address", nil, []string{"--api", b, "--token-file", file}, "b", "secret-file"},
		{"a file in place of the context's", nil, []string{"--token-file", file}, "a", "secret-file"},
		{"the environment in place of the context's", map[string]string{"API_TOKEN": "secret-env"}, nil, "a", "secret-env"},
		{"all from the environment", map[string]string{"API": b, "API_TOKEN": "secret-env\n"}, nil, "b", "secret-env"},
		{"a file from the environment", map[string]string{"TOKEN_FILE": file}, nil, "a", "secret-file"},
		{"a file over the environment", map[string]string{"API_TOKEN": "secret-env"}, []string{"--token-file", file}, "a", "secret-file"},
		{"a context from the environment", map[string]string{"CONTEXT": "b", "API_TOKEN": "secret-env"}, nil, "b", "secret-env"},
		{"an address over a context, both from the environment", map[string]string{"CONTEXT": "c", "API": b}, nil, "b", ""},
		{"a context on the command line over the environment", map[string]string{"API": b, "API_TOKEN": "secret-env"}, []string{"--context", "a"}, "a", "secret-a"},
		{"also without a token of its own", map[string]string{"API_TOKEN": "secret-env"}, []string{"--context", "b"}, "b", ""},
		{"but for a file there", nil, []string{"--context", "b", "--token-file", file}, "b", "secret-file"},
	} {
		t.Run(test.about, func(t *testing.T) {
			for _, name := range []string{"API", "CONTEXT", "API_TOKEN", "TOKEN_FILE"} {
				t.Setenv("LONGWIRE_"+name, test.environment[name])
			}
			clear(shown)
			at := apiTest{t}
			stdout, stderr := at.want(exitFailed, append([]string{"devices"}, test.args...)...)
			if token, asked := shown[test.gateway]; !asked || token != test.token || len(shown) != 1 {
				t.Errorf("shown: %q; want %q at %s", shown, test.token, test.gateway)
			}
			if strings.Contains(stdout+stderr, "secret") {
				t.Errorf("it tells the token: %s%s", stdout, stderr)
			}
		})
	}
}

// Nor is it shown to whom a gateway sends requests on.
func TestTokenIsNotSentOn(t *testing.T) {
	at := newAPITest(t)
	other := at.gateway(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("was asked for %s", r.URL) })
	first := at.gateway(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, http.StatusTemporaryRedirect) })
	t.Setenv("LONGWIRE_API_TOKEN", "secret")
	for _, args := range [][]string{{"devices"}, {"push", "m", "1", "1"}, {"events"}, {"trace", "m"}, {"drain"}} {
		_, stderr := at.want(exitFailed, append(args, "--api", first)...)
		if !strings.Contains(stderr, "sends requests on to") {
			t.Error(stderr)
		}
	}
}

// What a board or a gateway has made up must not move the cursor of a terminal.
func TestHostileText(t *testing.T) {
	newAPITest(t)
	const hostile = "\x1b[2J\u009b31m\u202e\a\r\n\x00\x7f"
	text, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	h := strings.Replace(string(text), `\u001b`, "\x9b", 1)  // which is no UTF-8, and CSI for some
	h = strings.TrimSuffix(h, `"`) + "\\u001b[2J\u009b31m\"" // as it is, too
	device := `{"id":` + h + `,"online":true,"listener":` + h + `,"remote_addr":` + h + `,"identity":` + h + `,"groups":[` + h +
		`],"attributes":{` + h + `:` + h + `},"last_close":{"reason":` + h + `}}`
	answer := `{"status":` + h + `,"message":` + h + `,"data":{` + h + `:` + h + `}}`
	command := `{"id":` + h + `,"device":` + h + `,"type":1,"data":` + answer + `,"match":` + h + `,"state":` + h + `,"timeout":` + h + `,"error":` + h + `,"answer":` + answer + `}`
	waited := strings.Replace(command, `"state":`+h, `"state":"failed"`, 1)
	placed := `{"refused":1,"commands":[{"device":` + h + `,"error":{"detail":` + h + `}}]}`
	kept := `{"error":` + h + `,"lost":{"set_aside":[` + h + `]},"logs":[{"name":` + h + `}]}`
	event := func(name, data string) string { return "id: 1\nevent: " + name + "\ndata: " + data + "\n\n" }
	stream := event("message", `{"device":`+h+`,"type":1,"type_name":`+h+`,"data":`+h+`}`) +
		event("message", `{"device":"m","type":1,"raw":"G1sySg=="}`) +
		event("message", `{"device":"m","type":1,"raw":"//8b"}`) +
		event("connect\x1b[2J", `{"device":`+h+`}`) +
		event("disconnect", `{"listener":`+h+`,"remote_addr":`+h+`,"reason":`+h+`}`) +
		event("command", `{"command":`+command+`}`) +
		event("lost", `{"count":1,"more":`+h+`}`)
	traced := event("frame", `{"direction":`+h+`,"type":1,"type_name":`+h+`,"data":"G1sySg=="}`) +
		event("frame", `{"direction":"in","type":1,"data":"//8b"}`) +
		event("news\x1b[2J", `{"more":`+h+`}`)

	for _, test := range []struct {
		about, kind, body string
		status            int
		args              []string
		exit              int
	}{
		{"list", "application/json", `{"devices":[` + device + `]}`, 200, []string{"devices"}, exitDone},
		{"device", "application/json", device, 200, []string{"devices", "m"}, exitDone},
		{"answer", "application/json", answer, 200, []string{"ask", "m", "1", "1"}, exitFailed},
		{"raw answer", "application/json", `{"raw":"G1sySpsbWw=="}`, 200, []string{"ask", "m", "1", "1"}, exitDone},
		{"raw text", "application/json", `{"raw":"G1sySg=="}`, 200, []string{"ask", "m", "1", "1"}, exitDone},
		{"counts", "application/json", `{"queued":1,"x":` + h + `}`, 200, []string{"push", "--all", "1", "1"}, exitDone},
		{"settings", "application/json", `{"applied":[` + h + `],"restart":[` + h + `]}`, 200, []string{"reload"}, exitDone},
		{"commands", "application/json", `{"commands":[` + command + `]}`, 200, []string{"commands", "list", "m"}, exitDone},
		{"command", "application/json", command, 200, []string{"commands", "show", "m", "c"}, exitDone},
		{"new command", "application/json", command, 200, []string{"commands", "send", "m", "1"}, exitDone},
		{"command that was waited for", "application/json", waited, 200, []string{"commands", "send", "m", "1", "--wait", "1s"}, exitFailed},
		{"commands for many", "application/json", placed, 200, []string{"commands", "send", "--all", "1"}, exitFailed},
		{"no command", "application/problem+json", `{"detail":` + h + `}`, 404, []string{"commands", "show", "m", "c"}, exitFailed},
		{"store", "application/json", kept, 200, []string{"store", "stats"}, exitFailed},
		{"events", "text/event-stream", stream, 200, []string{"events"}, exitFailed},
		{"trace", "text/event-stream", traced, 200, []string{"trace", "m"}, exitFailed},
		{"bad request", "application/problem+json", `{"detail":` + h + `}`, 400, []string{"ask", "m", "1", "1"}, exitUsage},
		{"wrong token", "application/problem+json", `{"detail":` + h + `}`, 401, []string{"ask", "m", "1", "1"}, exitFailed},
		{"not there", "application/problem+json", `{"detail":` + h + `}`, 404, []string{"ask", "m", "1", "1"}, exitFailed},
		{"bad configuration", "application/problem+json", `{"detail":` + h + `}`, 422, []string{"reload"}, exitFailed},
		{"broken", "application/problem+json", `{"title":` + h + `}`, 500, []string{"drain"}, exitFailed},
		{"no gateway", "text/html", hostile, 500, []string{"drain"}, exitFailed},
		{"no JSON", "text/html", hostile, 200, []string{"devices"}, exitFailed},
	} {
		for _, args := range [][]string{test.args, append(test.args[:len(test.args):len(test.args)], "--json")} {
			if args[0] == "drain" && args[len(args)-1] == "--json" {
				continue
			}
			t.Run(test.about+" "+strings.Join(args, " "), func(t *testing.T) {
				at := apiTest{t}
				streamed := false
				address := at.gateway(func(w http.ResponseWriter, r *http.Request) {
					if streamed {
						responds(401, "application/problem+json", `{"detail":`+h+`}`)(w, r)
						return
					}
					streamed = test.kind == "text/event-stream"
					responds(test.status, test.kind, test.body)(w, r)
				})
				stdout, stderr := at.want(test.exit, append(args, "--api", address)...)
				if !utf8.ValidString(stdout + stderr) {
					t.Errorf("is no text: %q", stdout+stderr)
				}
				for _, r := range stdout + stderr {
					if r != '\n' && !unicode.IsPrint(r) {
						t.Fatalf("%q stands in %q", r, stdout+stderr)
					}
				}
				if args[len(args)-1] == "--json" {
					for line := range strings.Lines(stdout) {
						if !json.Valid([]byte(line)) {
							t.Errorf("is no JSON: %s", line)
						}
					}
				}
				if test.exit != exitDone && !streamed && strings.Count(stderr, "\n") != 1 {
					t.Errorf("%d lines on stderr: %s", strings.Count(stderr, "\n"), stderr)
				}
			})
		}
	}
}

func TestAPIErrors(t *testing.T) {
	at := newAPITest(t)
	secure := httptest.NewUnstartedServer(responds(200, "application/json", `{}`))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	gone := "http://127.0.0.1:1"
	problem := func(status int, detail string) string {
		return at.gateway(responds(status, "application/problem+json", `{"detail":"`+detail+`"}`))
	}
	page := at.gateway(responds(404, "text/html", "<html>"))
	cut := at.gateway(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for _, test := range []struct {
		about string
		exit  int
		args  []string
		want  string
	}{
		{"nobody there", exitFailed, []string{"kick", "m", "--api", gone},
			`longwire kick: cannot reach the gateway at ` + gone + `: connection refused; is "longwire serve" running there? Name another address with --api`},
		{"cut off", exitFailed, []string{"kick", "m", "--api", cut},
			`longwire kick: the connection to the gateway at ` + cut + ` ended before it had responded: EOF`},
		{"no gateway", exitFailed, []string{"kick", "m", "--api", page},
			`longwire kick: what responds at ` + page + ` is no gateway, with status 404; name another address with --api`},
		{"TLS there", exitFailed, []string{"drain", "--api", strings.Replace(secure.URL, "https", "http", 1)},
			`longwire drain: ` + strings.Replace(secure.URL, "https", "http", 1) + ` speaks TLS; write https:// in the address`},
		{"no TLS there", exitFailed, []string{"kick", "m", "--api", strings.Replace(page, "http", "https", 1)},
			`longwire kick: ` + strings.Replace(page, "http", "https", 1) + ` does not speak TLS; write http:// in the address`},
		{"an authority that nobody knows", exitFailed, []string{"kick", "m", "--api", secure.URL},
			`longwire kick: the certificate of the gateway at ` + secure.URL + ` does not hold: x509: certificate signed by unknown authority; --ca-file names a file with the authority that it is from`},
		{"--ca-file without TLS", exitUsage, []string{"kick", "m", "--api", gone, "--ca-file", "ca.pem"},
			`longwire kick: --ca-file: ` + gone + ` is without TLS; write https:// in the address`},
		{"a key that no request can have", exitUsage, []string{"commands", "send", "m", "1", "--key", "a\nb", "--api", gone},
			`longwire commands send: --key: "a\nb" is no key; write 1 to 255 printable characters of ASCII, without a space at either end`},
		{"a key that would not arrive as it is", exitUsage, []string{"commands", "send", "m", "1", "--key", "shift 7 ", "--api", gone},
			`longwire commands send: --key: "shift 7 " is no key; write 1 to 255 printable characters of ASCII, without a space at either end`},
		{"not connected", exitFailed, []string{"kick", "m", "--api", "=", problem(409, "The device is not connected.")},
			`longwire kick: m: the device is not connected`},
		{"never seen", exitFailed, []string{"kick", "m", "--api", "=", problem(404, "No device with this id has ever been connected.")},
			`longwire kick: m: no device with this id has ever been connected; "longwire devices" tells which are known`},
		{"no answer", exitFailed, []string{"ask", "m", "1", "1", "--api", "=", problem(504, "The device has not answered in time.")},
			`longwire ask: m: the device has not answered in time`},
		{"page of another site", exitFailed, []string{"drain", "--api", "=", problem(403, "The Host of the request is not one of ours.")},
			`longwire drain: the gateway at =: the Host of the request is not one of ours`},
		{"no reload", exitFailed, []string{"reload", "--api", "=", problem(422, `a.yaml:1: ack: is empty\nb.yaml:2: data: is empty`)},
			`longwire reload: the old configuration stays in force: a.yaml:1: ack: is empty; b.yaml:2: data: is empty`},
		{"wrong", exitUsage, []string{"ask", "m", "x", "1", "--api", "=", problem(400, `The type \"x\" is neither a number nor a name of the configuration.`)},
			`longwire ask: the type "x" is neither a number nor a name of the configuration`},
		{"without words", exitFailed, []string{"drain", "--api", "=", problem(503, "")},
			`longwire drain: the gateway at =: status 503`},
	} {
		t.Run(test.about, func(t *testing.T) {
			args, want := test.args, test.want
			if last := len(args) - 1; args[last-1] == "=" {
				want = strings.ReplaceAll(want, "=", args[last])
				args = append(args[:last-1:last-1], args[last])
			}
			stdout, stderr := apiTest{t}.want(test.exit, args...)
			if stdout != "" || stderr != want+"\n" {
				t.Errorf("%s%s\nwant %s", stdout, stderr, want)
			}
		})
	}
}

// Whoever was not told is counted by the reason, and is a failure.
func TestBroadcastCounts(t *testing.T) {
	at := newAPITest(t)
	for body, want := range map[string]string{
		`{"queued":3}`: "",
		`{"queued":3,"full":1,"misfit":2,"away":1}`: "1 device not connected, 1 device without room for it, 2 devices without a frame that it fits in",
		`{"misfit":1}`: "1 device without a frame that it fits in",
	} {
		status := exitDone
		if want != "" {
			status, want = exitFailed, "longwire push: not all have been told: "+want+"\n"
		}
		_, stderr := at.want(status, "push", "--all", "1", "1", "--api", at.gateway(responds(200, "application/json", body)))
		if stderr != want {
			t.Errorf("%s: %s, want %s", body, stderr, want)
		}
	}
}

// A certificate of a private authority is checked as any other.
func TestCAFile(t *testing.T) {
	at := newAPITest(t)
	s := httptest.NewUnstartedServer(responds(200, "application/json", `{"devices":[]}`))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := at.file(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	at.want(exitDone, "devices", "--api", s.URL, "--ca-file", ca)
	at.want(exitDone, "context", "set", "a", "--api", s.URL, "--ca-file", ca)
	at.want(exitDone, "devices", "--context", "a")
	other := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	_, stderr := at.want(exitFailed, "devices", "--api", other, "--ca-file", ca)
	if !strings.Contains(stderr, "does not hold: x509: ") || strings.Contains(stderr, "--ca-file") {
		t.Error(stderr)
	}
}

// Whatever the command waits for, it ends when it is told to.
func TestAPIInterrupt(t *testing.T) {
	at := newAPITest(t)
	for _, test := range []struct {
		args   []string
		status int
		stderr string
	}{
		{[]string{"ask", "m", "1", "1"}, exitFailed, "longwire ask: ended by signal: interrupt, before the gateway had responded\n"},
		{[]string{"devices"}, exitFailed, "longwire devices: ended by signal: interrupt, before the gateway had responded\n"},
		{[]string{"events"}, exitDone, ""},
		{[]string{"trace", "m"}, exitDone, ""},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		address := at.gateway(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // or its end is not noticed
			cancel(errors.New("signal: interrupt"))
			<-r.Context().Done()
		})
		var stdout, stderr strings.Builder
		got := run(ctx, append(test.args, "--api", address), nil, &stdout, &stderr)
		if got != test.status || stdout.String() != "" || stderr.String() != test.stderr {
			t.Errorf("%s: exit status %d, %q, %q", test.args[0], got, stdout.String(), stderr.String())
		}
	}
}

// A result that cannot be printed is no success.
func TestAPIOutput(t *testing.T) {
	at := newAPITest(t)
	bodies := map[string]string{"devices": `{"devices":[{"id":"m"}]}`, "ask": `{"status":"200"}`, "reload": `{}`, "push": `{"queued":1}`}
	for name, args := range map[string][]string{"devices": nil, "ask": {"m", "1", "1"}, "reload": nil, "push": {"--all", "1", "1"}} {
		for _, flags := range [][]string{nil, {"--json"}} {
			address := at.gateway(responds(200, "application/json", bodies[name]))
			var stderr strings.Builder
			got := run(t.Context(), append(append(append([]string{name}, args...), flags...), "--api", address), nil, full{io.ErrClosedPipe}, &stderr)
			if want := "longwire " + name + ": cannot print the result: io: read/write on closed pipe\n"; got != exitFailed || stderr.String() != want {
				t.Errorf("%s %v: exit status %d, %s", name, flags, got, stderr.String())
			}
		}
	}
}

// On systems without SIGPIPE a pipe that nobody reads is an error of Write.
func TestEventsToAClosedPipe(t *testing.T) {
	at := newAPITest(t)
	for _, test := range []struct {
		err    error
		status int
		stderr string
	}{
		{io.ErrClosedPipe, exitFailed, "longwire events: cannot print an event: io: read/write on closed pipe\n"},
		{brokenPipe, exitDone, ""},
	} {
		address := at.gateway(responds(200, "text/event-stream", "data: {}\n\n"))
		var stderr strings.Builder
		if got := run(t.Context(), []string{"events", "--api", address}, nil, full{test.err}, &stderr); got != test.status || stderr.String() != test.stderr {
			t.Errorf("%v: exit status %d, %s", test.err, got, stderr.String())
		}
	}
}
