package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The secret is made once, is for nobody else, and is never replaced by itself.
func TestSessionSecret(t *testing.T) {
	dir := t.TempDir()
	first, err := sessionSecret(dir)
	if err != nil || len(first) != 32 || bytes.Equal(first, make([]byte, 32)) {
		t.Fatalf("%x, %v", first, err)
	}
	if again, err := sessionSecret(dir); err != nil || !bytes.Equal(again, first) {
		t.Errorf("%x, %v; want %x", again, err, first)
	}
	if other, err := sessionSecret(t.TempDir()); err != nil || bytes.Equal(other, first) {
		t.Errorf("%x, %v", other, err)
	}
	name := filepath.Join(dir, "session.key")
	info, err := os.Stat(name)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%v", files)
	}
	for _, wrong := range [][]byte{{}, first[:31], append(first, 0)} {
		if err := os.WriteFile(name, wrong, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sessionSecret(dir); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "delete it") {
			t.Errorf("%d bytes: %v", len(wrong), err)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(name, 0o700); err != nil { // which cannot be read as a file, by root neither
		t.Fatal(err)
	}
	if _, err := sessionSecret(dir); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("%v", err)
	}
	if _, err := sessionSecret(filepath.Join(dir, "nowhere")); err == nil || !strings.Contains(err.Error(), "cannot be made") {
		t.Errorf("%v", err)
	}
}

// The page is there unless the configuration says that it is not. The secret is kept with the rest.
func TestDashboardOfServe(t *testing.T) {
	t.Chdir(t.TempDir())
	for setting, want := range map[string]int{"": 200, ", dashboard: false": 404} {
		t.Run(setting, func(t *testing.T) {
			g := serveConfig(t, "listeners: [{name: main, address: 127.0.0.1:0}]\nhttp: {address: 127.0.0.1:0"+setting+"}\n")
			if got := g.do("GET", "/", "", nil); got != want {
				t.Errorf("status %d, want %d", got, want)
			}
			if got := g.do("GET", "/nothing.js", "", nil); got != 404 {
				t.Errorf("status %d", got)
			}
			var stats struct{ Version string }
			if g.do("GET", "/v1/stats", "", &stats); stats.Version != version() {
				t.Errorf("%+v", stats)
			}
		})
	}
	first, err := os.ReadFile(filepath.Join("longwire-data", "session.key"))
	if err != nil || len(first) != 32 {
		t.Errorf("%d bytes, %v", len(first), err)
	}
}
