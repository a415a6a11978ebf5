package longwire_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestImports keeps the packages as they are drawn. A library that people build
// into their programs must not bring a tree of others with it, and what it knows
// of its users it would soon depend on.
func TestImports(t *testing.T) {
	const module = "github.com/longwire/longwire"
	standard := func(path string) bool { return !strings.Contains(strings.Split(path, "/")[0], ".") }
	extended := func(path string) bool { return strings.HasPrefix(path, "golang.org/x/") }
	rules := []struct {
		dir     string
		allowed func(path string) bool
		why     string
	}{
		{".", func(p string) bool {
			return standard(p) || extended(p) || p == module+"/frame" || p == module+"/internal/poll"
		}, "the library stands on the standard library, golang.org/x, the codec and its driver; it does not know the gateway or the command"},
		{"frame", func(p string) bool {
			return standard(p) && p != "net" && !strings.HasPrefix(p, "net/")
		}, "the codec knows io, not networks, and no package of this module"},
		{"internal/gateway", func(p string) bool {
			return standard(p) || extended(p) || p == module || p == module+"/frame" || p == module+"/internal/queue" || p == module+"/internal/store"
		},
			"the gateway stands on the library's exported API alone; the big dependencies have packages of their own"},
		{"internal/queue", func(p string) bool {
			return standard(p) || extended(p) || p == module || p == module+"/internal/store"
		}, "commands wait for boards of which the queue knows no more than whether they are there"},
		{"internal/client", func(p string) bool { return standard(p) || p == module || p == module+"/internal/gateway" },
			"the client of the API knows the names in it, and nothing of how it is served"},
		{"internal/config", func(p string) bool {
			return standard(p) || p == module || p == module+"/frame" || strings.HasPrefix(p, "go.yaml.in/yaml/v4")
		}, "the configuration knows the library's settings and YAML, and is the one importer of that"},
		{"internal/httpapi", func(p string) bool {
			return standard(p) || extended(p) || p == module || p == module+"/frame" || p == module+"/internal/gateway" || p == module+"/internal/queue" || p == module+"/internal/store" || strings.HasPrefix(p, "github.com/danielgtaylor/huma/v2")
		}, "the API stands on the gateway and what it keeps, and is the one importer of what makes its document"},
		{"internal/metrics", func(p string) bool {
			return standard(p) || p == module || p == module+"/internal/gateway" || p == module+"/internal/queue" || p == module+"/internal/store" || strings.HasPrefix(p, "github.com/prometheus/client_golang/")
		}, "it shows what the gateway and what it keeps have counted, and is the one importer of Prometheus"},
		{"internal/dashboard", standard, "the page is files, which know the API alone"},
		{"internal/top", func(p string) bool {
			return standard(p) || p == module+"/internal/client" || p == module+"/internal/gateway" || p == module+"/internal/queue" ||
				strings.HasPrefix(p, "charm.land/bubbletea/") || strings.HasPrefix(p, "github.com/charmbracelet/x/")
		}, "the view in a terminal asks the API, and is the one importer of the terminal library"},
		{"internal/doctor", func(p string) bool { return standard(p) || extended(p) || p == module+"/internal/config" },
			"the doctor looks at the machine and the configuration, and at nothing that runs"},
		{"internal/guess", func(p string) bool { return standard(p) || p == module+"/frame" },
			"guessing is about bytes and formats; how a format is written down is known elsewhere"},
		{"internal/poll", func(p string) bool { return standard(p) || extended(p) },
			"the driver knows descriptors and events, and nothing of connections"},
		{"internal/bench", func(p string) bool {
			return standard(p) || p == module+"/frame" || p == module+"/internal/dial" || p == module+"/internal/latency"
		}, "the load side measures any server of frames, and knows nothing of the library"},
		{"internal/dial", standard, "it opens connections, whatever is spoken on them"},
		{"internal/latency", func(p string) bool { return standard(p) || p == "github.com/HdrHistogram/hdrhistogram-go" },
			"it is the one importer of the histogram"},
		{"internal/logging", func(p string) bool { return standard(p) || p == "github.com/DeRuina/timberjack" },
			"it is the one importer of the log's rotation"},
		{"internal/sim", func(p string) bool {
			return standard(p) || p == module || p == module+"/frame" || p == module+"/internal/config" || p == module+"/internal/dial" || p == module+"/internal/latency"
		}, "simulated boards are the other end of the wire: they know the library and the codec, and nothing of the gateway"},
		{"internal/capture", func(p string) bool { return standard(p) || strings.HasPrefix(p, "github.com/gopacket/gopacket") },
			"captures are packets and streams of bytes, whatever is in them; it is the one importer of gopacket"},
		{"internal/show", func(p string) bool {
			return standard(p) && p != "net" && !strings.HasPrefix(p, "net/") || p == module+"/frame"
		},
			"frames are printed the same way wherever they were seen"},
		{"internal/tap", func(p string) bool {
			return standard(p) || p == module+"/frame" || p == module+"/internal/capture" || p == module+"/internal/show"
		}, "the proxy knows bytes and frames, and nothing of what they mean"},
		{"internal/store", func(p string) bool {
			return standard(p) || extended(p) || strings.HasPrefix(p, "github.com/nats-io/") || p == "github.com/minio/highwayhash"
		}, "the store knows records and logs, nothing of boards, and is the one importer of NATS"},
		{"longwiretest", standard, "the network in memory is for users' tests too, and serves the library's own: it needs neither"},
	}
	for _, rule := range rules {
		files, err := filepath.Glob(filepath.Join(rule.dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", rule.dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range parsed.Imports {
				if path, _ := strconv.Unquote(spec.Path.Value); !rule.allowed(path) {
					t.Errorf("%s imports %s, but %s", file, path, rule.why)
				}
			}
		}
	}
}
