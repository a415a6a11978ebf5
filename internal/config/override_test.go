package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/longwire/longwire/internal/config"
)

// Flags go over the environment, that over the file, and that over the defaults.
func TestPrecedence(t *testing.T) {
	const file = "heartbeat: 3s\ndrain_timeout: 3s\nforward: {timeout: 3s}\n"
	over := config.Environment([]string{"LONGWIRE_DRAIN_TIMEOUT=2s", "LONGWIRE_FORWARD_TIMEOUT=2s", "PATH=/bin", "LONGWIRE_DATA="})
	over = append(over, config.Flag("forward-timeout", "1s"))
	c := mustParse(t, file, over...)
	for _, test := range []struct {
		setting   string
		got, want config.Duration
	}{
		{"times.ping", c.Listeners[0].Times.Ping, config.Duration(30 * time.Second)},
		{"heartbeat", c.Heartbeat, config.Duration(3 * time.Second)},
		{"drain_timeout", c.DrainTimeout, config.Duration(2 * time.Second)},
		{"forward.timeout", c.Forward.Timeout, config.Duration(time.Second)},
	} {
		if test.got != test.want {
			t.Errorf("%s is %v, want %v", test.setting, test.got, test.want)
		}
	}
	if c.Data != "./longwire-data" {
		t.Errorf("an empty variable has set data to %q", c.Data)
	}
}

// Every setting that is one value has a variable, and a flag of that name reaches it.
func TestEverySettingHasAVariable(t *testing.T) {
	seen := map[string]string{}
	config.EachSetting(func(path, _, variable, _ string, section, _ bool) {
		if section || variable == "" || strings.Contains(path, "NAME") {
			return
		}
		if other, twice := seen[variable]; twice {
			t.Errorf("%s is for %s and %s", variable, other, path)
		}
		seen[variable] = path
		flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(variable, "LONGWIRE_"), "_", "-"))
		if got := config.Flag(flag, ""); got.Setting != path || got.From != "--"+flag {
			t.Errorf("%s: %+v, want %s", flag, got, path)
		}
		if got := config.Environment([]string{variable + "=x"}); len(got) != 1 || got[0].Setting != path {
			t.Errorf("%s: %+v, want %s", variable, got, path)
		}
	})
	for variable, path := range map[string]string{
		"LONGWIRE_LISTEN":            "listeners[].address",
		"LONGWIRE_ALLOW_ANONYMOUS":   "listeners[].allow_anonymous",
		"LONGWIRE_MAX_FRAME":         "listeners[].max_frame",
		"LONGWIRE_RESYNC":            "listeners[].resync",
		"LONGWIRE_TLS_CERT_FILE":     "listeners[].tls.cert_file",
		"LONGWIRE_LOGIN_TOKENS_FILE": "listeners[].login.tokens_file",
		"LONGWIRE_HTTP_ADDRESS":      "http.address",
		"LONGWIRE_HTTP_TLS_KEY_FILE": "http.tls.key_file",
		"LONGWIRE_LOG_MAX_FILES":     "log.max_files",
		"LONGWIRE_HEARTBEAT":         "heartbeat",
	} {
		if seen[variable] != path {
			t.Errorf("%s is for %q, want %s", variable, seen[variable], path)
		}
	}
}

// What an orchestrator or another command of ours sets is no setting; what is nearly
// one is a mistake.
func TestVariablesThatAreNoSettings(t *testing.T) {
	over := config.Environment([]string{
		"LONGWIRE_PORT=tcp://10.0.0.1:10302", "LONGWIRE_SERVICE_HOST=10.0.0.1", "LONGWIRE_SERVICE_PORT=10302",
		"LONGWIRE_PORT_10302_TCP_ADDR=10.0.0.1", "LONGWIRE_HTTP_PORT=tcp://10.0.0.1:1", "LONGWIRE_HTTP_SERVICE_PORT=1",
		"LONGWIRE_ID=meter-7", "LONGWIRE_TOKEN=x", "LONGWIRE_CONFIG=f.yaml", "LONGWIRE_SLEEP=1s", "LONGWIRE=x",
	})
	if len(over) > 0 {
		t.Errorf("%+v", over)
	}
	_, err := config.Parse("f.yaml", nil, config.Environment([]string{"LONGWIRE_HTTP_ADRESS=off"})...)
	wantProblems(t, err, "LONGWIRE_HTTP_ADRESS")
	if err == nil || !strings.HasSuffix(err.Error(), "did you mean LONGWIRE_HTTP_ADDRESS?") {
		t.Error(err)
	}
	_, err = config.Parse("f.yaml", nil, config.Flag("http-adress", "off"))
	wantProblems(t, err, "--http-adress")
}

func TestBrokenOverrides(t *testing.T) {
	_, err := config.Parse("f.yaml", nil, config.Flag("heartbeat", "soon"), config.Flag("listen", "127.0.0.1"), config.Flag("http-address", ":80"))
	wantProblems(t, err, "--heartbeat heartbeat", "--listen listeners[].address", "--http-address http.address")
	if want := `--heartbeat: "soon" is no time span; `; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}

	// The variable is named although what is missing could stand in the file.
	_, err = config.Parse("f.yaml", []byte("listeners:\n  - name: a\n"), config.Environment([]string{"LONGWIRE_LISTEN=:1"})...)
	wantProblems(t, err, "LONGWIRE_LISTEN listeners[0].address")

	// And the file where the variable only completes what stands there.
	_, err = config.Parse("f.yaml", []byte("listeners:\n  - tls: {cert_file: a}\n"), config.Flag("login-hello", "true"))
	wantProblems(t, err, "--login-hello listeners[0].login.hello", "f.yaml:2 listeners[0].tls")
	mustParse(t, "listeners:\n  - tls: {cert_file: a}\n", config.Flag("tls-key-file", "b"))
}

// What does not say which of several listeners it is for, is for none of them.
func TestOverrideOfSeveralListeners(t *testing.T) {
	const two = "listeners:\n  - name: a\n  - name: b\n    address: localhost:2\n"
	_, err := config.Parse("f.yaml", []byte(two), config.Flag("listen", "127.0.0.1:3"))
	wantProblems(t, err, "--listen listeners[].address")
	if err == nil || !strings.Contains(err.Error(), "there are 2 listeners") {
		t.Error(err)
	}
	c := mustParse(t, "listeners:\n  - name: a\n    address: localhost:1\n", config.Flag("listen", "127.0.0.1:3"), config.Flag("frame-checksum-kind", "crc32"))
	if l := c.Listeners[0]; l.Address != "127.0.0.1:3" || l.Frame.Checksum.Kind != "crc32" {
		t.Errorf("%+v", l)
	}
}

// An override can turn off what the file has on.
func TestOverrideTurnsOff(t *testing.T) {
	c := mustParse(t, "http: {address: 127.0.0.1:1}\nforward: {url: 'http://a/'}\nheartbeat: 5s\n",
		config.Flag("http-address", "off"), config.Flag("forward-url", "off"), config.Flag("heartbeat", "0"))
	if c.HTTP.Address != "" || c.Forward.URL != "" || c.Heartbeat != 0 {
		t.Errorf("%+v", c)
	}
}
