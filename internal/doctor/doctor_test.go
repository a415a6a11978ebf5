package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/doctor"
)

var now = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// files are what a good machine has in /proc and /sys.
func files() map[string]string {
	return map[string]string{
		"proc/sys/fs/file-max":                                        "9223372036854775807\n",
		"proc/sys/fs/nr_open":                                         "1048576\n",
		"proc/sys/fs/file-nr":                                         "2000\t0\t9223372036854775807\n",
		"proc/sys/net/core/somaxconn":                                 "4096\n",
		"proc/sys/net/ipv4/tcp_max_syn_backlog":                       "4096\n",
		"proc/sys/net/ipv4/ip_local_port_range":                       "32768\t60999\n",
		"proc/sys/net/ipv4/tcp_keepalive_time":                        "7200\n",
		"proc/sys/net/ipv4/tcp_mem":                                   "188000 250000 376000\n",
		"proc/sys/net/netfilter/nf_conntrack_max":                     "262144\n",
		"proc/sys/net/netfilter/nf_conntrack_count":                   "100\n",
		"proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established": "432000\n",
		"proc/meminfo":                                                "MemTotal:       16384000 kB\nMemFree: 1 kB\n",
		"proc/self/cgroup":                                            "0::/system.slice/longwire.service\n",
		"sys/fs/cgroup/system.slice/longwire.service/memory.max":      "max\n",
	}
}

// good returns a machine on which there is nothing to change.
func good(has map[string]string) *doctor.Machine {
	root := fstest.MapFS{}
	for name, text := range has {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return &doctor.Machine{
		Files:       root,
		OS:          "linux",
		CPUs:        4,
		Getenv:      func(name string) string { return map[string]string{"GOMEMLIMIT": "800MiB"}[name] },
		Descriptors: func() (int, error) { return 262144, nil },
		Clock:       func() (bool, time.Duration, error) { return true, 300 * time.Microsecond, nil },
		Now:         func() time.Time { return now },
		Disk: func(string) (doctor.Disk, error) {
			return doctor.Disk{Type: "ext4", Free: 50 << 30, Writable: true}, nil
		},
		Sync: func(context.Context, string) ([]time.Duration, error) {
			return []time.Duration{200e3, 300e3, 900e3}, nil
		},
		Bind:     func(string) error { return nil },
		Stat:     os.Stat,
		ReadFile: os.ReadFile,
	}
}

// parse returns a configuration, with data in a directory that is there.
func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	if !strings.Contains(text, "data:") {
		text += "\ndata: " + filepath.ToSlash(t.TempDir()) + "\n"
	}
	c, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGood shows a machine and a configuration with which all is well.
func TestGood(t *testing.T) {
	for _, f := range doctor.Look(t.Context(), good(files()), parse(t, ""), "") {
		if f.Status != doctor.OK {
			t.Errorf("%+v", f)
		}
	}
}

// TestFindings changes one thing on a good machine at a time.
func TestFindings(t *testing.T) {
	const many = "listeners: [{limits: {connections: 300000}}]"
	failing := func(err error) func(*doctor.Machine) {
		return func(m *doctor.Machine) { m.Bind = func(string) error { return err } }
	}
	limit := func(n int) func(*doctor.Machine) {
		return func(m *doctor.Machine) { m.Descriptors = func() (int, error) { return n, nil } }
	}
	disk := func(d doctor.Disk) func(*doctor.Machine) {
		return func(m *doctor.Machine) { m.Disk = func(string) (doctor.Disk, error) { return d, nil } }
	}
	syncs := func(took ...time.Duration) func(*doctor.Machine) {
		return func(m *doctor.Machine) {
			m.Sync = func(context.Context, string) ([]time.Duration, error) { return took, nil }
		}
	}
	env := func(value string) func(*doctor.Machine) {
		return func(m *doctor.Machine) { m.Getenv = func(string) string { return value } }
	}
	for _, test := range []struct {
		name    string
		file    string // that is another
		holds   string
		machine func(*doctor.Machine)
		config  string
		check   string
		status  doctor.Status
		says    string // in found
		change  string // in change
	}{
		{name: "few descriptors", machine: limit(1024), check: "descriptors", status: doctor.Warning, says: "room for 960 boards", change: "LimitNOFILE=262144"},
		{name: "fewer than boards", config: many, check: "descriptors", status: doctor.Problem, says: "limits.connections says 300,000", change: "ulimit -n 524288"},
		{name: "nr_open", file: "proc/sys/fs/nr_open", holds: "65536", config: many, check: "open files", status: doctor.Problem, change: "fs.nr_open=524288"},
		{name: "file-max", file: "proc/sys/fs/file-max", holds: "20000", check: "open files", status: doctor.Warning, change: "fs.file-max="},
		{name: "somaxconn", file: "proc/sys/net/core/somaxconn", holds: "128", check: "accept queue", status: doctor.Warning, says: "128 connections", change: "somaxconn=4096"},
		{name: "syn backlog", file: "proc/sys/net/ipv4/tcp_max_syn_backlog", holds: "128", check: "accept queue", status: doctor.Note},
		{name: "few ports", file: "proc/sys/net/ipv4/ip_local_port_range", holds: "50000 55000", check: "own ports", status: doctor.Warning, says: "5,001 connections"},
		{name: "port is one of these", config: "listeners: [{address: 127.0.0.1:40000}]", check: "own ports", status: doctor.Note, says: "port 40000", change: "ip_local_reserved_ports=40000"},
		{name: "and kept back", file: "proc/sys/net/ipv4/ip_local_reserved_ports", holds: "8080,39999-40001\n", config: "listeners: [{address: 127.0.0.1:40000}]", check: "own ports", status: doctor.OK},
		{name: "no pings", config: "listeners: [{times: {ping: off}}]", check: "keep-alive", status: doctor.Note, says: "times.ping is off on boards"},
		{name: "full conntrack", file: "proc/sys/net/netfilter/nf_conntrack_count", holds: "250000", check: "connection tracking", status: doctor.Problem, says: "250,000 are taken", change: "nf_conntrack_max=1048576"},
		{name: "small conntrack", file: "proc/sys/net/netfilter/nf_conntrack_max", holds: "8192", check: "connection tracking", status: doctor.Warning, change: "nf_conntrack_max="},
		{name: "impatient conntrack", file: "proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established", holds: "30", check: "connection tracking", status: doctor.Warning, says: "after 30 s"},
		{name: "tcp_mem", file: "proc/sys/net/ipv4/tcp_mem", holds: "1000 2000 3000", check: "socket memory", status: doctor.Warning, change: "tcp_mem="},
		{name: "no GOMEMLIMIT", machine: env(""), check: "memory", status: doctor.Note, says: "GOMEMLIMIT is not set", change: "GOMEMLIMIT=12800MiB"},
		{name: "a cgroup without it", file: "sys/fs/cgroup/system.slice/memory.max", holds: "1073741824", machine: env(""), check: "memory", status: doctor.Warning, says: "1.0 GiB (cgroup)", change: "GOMEMLIMIT=819MiB"},
		{name: "a cgroup below it", file: "sys/fs/cgroup/system.slice/memory.max", holds: "536870912", check: "memory", status: doctor.Warning, says: "GOMEMLIMIT is 800 MiB"},
		{name: "cgroup v1", file: "proc/self/cgroup", holds: "4:cpu,cpuacct:/a\n3:memory:/box\n", machine: func(m *doctor.Machine) {
			m.Files.(fstest.MapFS)["sys/fs/cgroup/memory/box/memory.limit_in_bytes"] = &fstest.MapFile{Data: []byte("268435456")}
		}, check: "memory", status: doctor.Warning, says: "256 MiB (cgroup)"},
		{name: "a GOMEMLIMIT that is none", machine: env("lots"), check: "memory", status: doctor.Problem, says: `"lots"`},
		{name: "more boards than memory", file: "proc/meminfo", holds: "MemTotal: 262144 kB", config: many, machine: limit(1 << 20), check: "memory", status: doctor.Problem, says: "256 MiB", change: "limits.connections"},
		{name: "one processor", machine: func(m *doctor.Machine) { m.CPUs = 1 }, check: "processors", status: doctor.Note},
		{name: "no time", machine: func(m *doctor.Machine) { m.Clock = func() (bool, time.Duration, error) { return false, 0, nil } }, check: "clock", status: doctor.Warning, change: "set-ntp"},
		{name: "about this time", machine: func(m *doctor.Machine) {
			m.Clock = func() (bool, time.Duration, error) { return true, 3 * time.Second, nil }
		}, check: "clock", status: doctor.Warning, says: "wrong by 3s"},
		{name: "an old time", machine: func(m *doctor.Machine) { m.Now = func() time.Time { return time.Unix(1000, 0) } }, check: "clock", status: doctor.Problem, says: "1970"},
		{name: "no data", config: "data: off", check: "data", status: doctor.Note, says: "data is off"},
		{name: "a server's", config: "store: {url: \"nats://u:secret@127.0.0.1:4222\"}\ndata: off", check: "data", status: doctor.OK, says: "kept by the server"},
		{name: "not writable", machine: disk(doctor.Disk{Type: "ext4", Free: 1 << 40}), check: "data", status: doctor.Problem, says: "not writable"},
		{name: "tmpfs", machine: disk(doctor.Disk{Type: "tmpfs", Free: 1 << 40, Writable: true}), check: "file system", status: doctor.Warning, says: "memory"},
		{name: "overlay", machine: disk(doctor.Disk{Type: "overlay", Free: 1 << 40, Writable: true}), check: "file system", status: doctor.Warning, change: "volume"},
		{name: "nfs", machine: disk(doctor.Disk{Type: "nfs", Free: 1 << 40, Writable: true}), check: "file system", status: doctor.Warning},
		{name: "little room", machine: disk(doctor.Disk{Type: "ext4", Free: 100 << 20, Writable: true}), check: "disk space", status: doctor.Warning, change: "commands.max_size"},
		{name: "no room", machine: disk(doctor.Disk{Type: "ext4", Free: 10 << 20, Writable: true}), check: "disk space", status: doctor.Problem},
		{name: "a slow disk", machine: syncs(60e6, 90e6, 95e6), check: "disk speed", status: doctor.Warning, says: "90ms"},
		{name: "a disk that hangs", machine: syncs(1e6, 2e6, 3e9), check: "disk speed", status: doctor.Warning, says: "3s"},
		{name: "a disk that is none", machine: syncs(1e3, 2e3, 3e3), check: "disk speed", status: doctor.Note, says: "2µs"},
		{name: "in use", machine: failing(os.NewSyscallError("bind", syscall.EADDRINUSE)), check: "ports", status: doctor.Note, says: "127.0.0.1:10302, for listener boards, is in use"},
		{name: "a low port", machine: failing(syscall.EACCES), check: "ports", status: doctor.Problem, says: "may not listen"},
		{name: "another machine's", machine: failing(syscall.EADDRNOTAVAIL), check: "ports", status: doctor.Problem, says: "no address of this machine"},
		{name: "anybody", config: "listeners: [{address: \":10302\", allow_anonymous: true}]", check: "configuration", status: doctor.Note, says: "lets anybody in"},
	} {
		t.Run(test.name, func(t *testing.T) {
			has := files()
			if test.file != "" {
				has[test.file] = test.holds
			}
			m := good(has)
			if test.machine != nil {
				test.machine(m)
			}
			want(t, doctor.Look(t.Context(), m, parse(t, test.config), ""), test.check, test.status, test.says, test.change)
		})
	}
}

// want looks for a finding. What is not ok says what it means or what to change.
func want(t *testing.T, found []doctor.Finding, check string, status doctor.Status, says, change string) {
	t.Helper()
	for _, f := range found {
		if strings.Contains(f.Found+f.Change, "secret") {
			t.Errorf("%+v shows a secret", f)
		}
		if f.Check == check && f.Status == status && strings.Contains(f.Found, says) && strings.Contains(f.Change, change) {
			if status != doctor.OK && f.Means+f.Change == "" {
				t.Errorf("%+v says nothing of what to do", f)
			}
			return
		}
	}
	t.Errorf("no %s about %s with %q and %q in %+v", status, check, says, change, found)
}

// TestElsewhere checks that what another system does not tell is said to be unknown, and
// never good or bad.
func TestElsewhere(t *testing.T) {
	m := good(nil)
	m.OS, m.Descriptors, m.Clock, m.Disk, m.Bind, m.Sync = "darwin", nil, nil, nil, nil, nil
	unknown := 0
	for _, f := range doctor.Look(t.Context(), m, parse(t, ""), "") {
		if f.Status == doctor.Warning || f.Status == doctor.Problem {
			t.Errorf("%+v", f)
		}
		if strings.Contains(f.Found, "only be looked at on Linux") {
			unknown++
		}
	}
	if unknown < 10 {
		t.Errorf("%d checks say that they cannot be made, want 10 and more", unknown)
	}
}

// TestCertificates looks at certificates of all ages.
func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	const day = 24 * time.Hour
	for _, test := range []struct {
		name     string
		from, to time.Duration
		names    []string
		status   doctor.Status
		says     string
	}{
		{"good", -day, 90 * day, []string{"boards.example"}, doctor.OK, "is good until 2030-07-30"},
		{"soon", -day, 12*day + time.Hour, []string{"boards.example"}, doctor.Warning, "in 12 days"},
		{"over", -9 * day, -day, []string{"boards.example"}, doctor.Problem, "ended on 2030-04-30"},
		{"early", day, 90 * day, []string{"boards.example"}, doctor.Problem, "begins on 2030-05-02"},
		{"nameless", -day, 90 * day, nil, doctor.Warning, "no names"},
	} {
		cert, key := certificate(t, dir, test.name, now.Add(test.from), now.Add(test.to), test.names)
		text := "http: {tls: {cert_file: " + cert + ", key_file: " + key + "}}"
		want(t, doctor.Look(t.Context(), good(files()), parse(t, text), ""), "certificates", test.status, test.says, "")
	}
	m := good(files())
	m.ReadFile = func(string) ([]byte, error) {
		return nil, &fs.PathError{Op: "open", Path: "x", Err: errors.New("gone")}
	}
	want(t, doctor.Look(t.Context(), m, parse(t, "http: {tls: {cert_file: a.crt, key_file: a.key}}"), ""), "certificates", doctor.Problem, "a.crt cannot be read: gone", "")
}

// certificate makes one that signs itself.
func certificate(t *testing.T, dir, name string, from, to time.Time, names []string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: names, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.ToSlash(filepath.Join(dir, name+".crt")), filepath.ToSlash(filepath.Join(dir, name+".key"))
	os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
	os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
	return certFile, keyFile
}

// TestThis looks at the real machine: every check is made, and nothing stays behind.
func TestThis(t *testing.T) {
	dir := t.TempDir()
	found := doctor.Look(t.Context(), doctor.This(), parse(t, "data: "+filepath.ToSlash(filepath.Join(dir, "later", "data"))+"\nlisteners: [{address: \"127.0.0.1:0\"}]"), "")
	checks := make(map[string]bool)
	for _, f := range found {
		checks[f.Check] = true
	}
	for _, check := range []string{"descriptors", "open files", "accept queue", "own ports", "keep-alive", "connection tracking", "socket memory",
		"memory", "processors", "clock", "disk speed", "ports", "certificates", "configuration"} {
		if !checks[check] {
			t.Errorf("nothing is said about %s in %+v", check, found)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left behind, %v", left, err)
	}
}
