package config

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/longwire/longwire"
)

const (
	mostTokenBytes = 64 << 20 // of a file with tokens
	mostOtherBytes = 1 << 20  // of another file
)

// digest stands for the content of a file.
type digest [sha256.Size]byte

// Load reads a configuration file and the files that it names, which are looked for in
// the working directory when they have no absolute path. An empty path means no file.
// See [Parse].
func Load(path string, over ...Override) (*Config, error) {
	var data []byte
	if path != "" {
		var err error
		if data, err = readUpTo(path, mostBytes); err != nil {
			return nil, Problems{{File: path, Text: "cannot be read: " + cause(err).Error()}}
		}
	}
	c, err := Parse(path, data, over...)
	if err != nil {
		return nil, err
	}
	l := &loader{checker: checker{Config: c}}
	for i := range c.Listeners {
		l.loadListener(&c.Listeners[i], listenerPath(i))
	}
	if c.HTTP.TLS != nil {
		l.loadTLS("http.tls", c.HTTP.TLS.CertFile, c.HTTP.TLS.KeyFile)
	}
	c.HTTP.file = l.loadTokens("http.tokens_file", c.HTTP.TokensFile, c.HTTP.Tokens, false)
	c.Forward.token = l.loadSecret("forward.token_file", c.Forward.TokenFile)
	c.Events.Deliver.token = l.loadSecret("events.deliver.token_file", c.Events.Deliver.TokenFile)
	l.read("store.credentials_file", c.Store.CredentialsFile, mostOtherBytes, true)
	l.warn()
	if err := l.problems.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Warnings returns what is no mistake for certain, but rarely meant.
func (c *Config) Warnings() []*Problem { return c.warnings }

// A loader reads the files that settings name.
type loader struct{ checker }

func (l *loader) warnf(path, format string, args ...any) {
	all := l.problems
	l.problems = nil
	l.problemf(path, format, args...)
	l.warnings, l.problems = append(l.warnings, l.problems...), all
}

// warn looks at what tokens are worth.
func (l *loader) warn() {
	h := &l.HTTP
	if h.Address != "" && !h.Address.Loopback() && h.TLS == nil {
		l.warnf("http.address", "is reached without TLS, so tokens can be read on the way; set http.tls, unless something before it speaks TLS")
	}
}

func (l *loader) loadListener(at *Listener, path string) {
	if at.TLS != nil {
		l.loadTLS(path+".tls", at.TLS.CertFile, at.TLS.KeyFile)
		if _, ok := l.read(path+".tls.client_ca_file", at.TLS.ClientCAFile, mostOtherBytes, false); ok {
			if err := (&longwire.TLS{CAFile: at.TLS.ClientCAFile}).Reload(); err != nil {
				l.problemf(path+".tls.client_ca_file", "%s has no certificate in PEM in it", printable(at.TLS.ClientCAFile))
			}
		}
	}
	if at.AllowAnonymous && at.Login.knowsTokens() {
		l.warnf(path+".allow_anonymous", "lets anybody connect, so the tokens keep nobody out; they only tell who is who")
	}
	at.Login.file = l.loadTokens(path+".login.tokens_file", at.Login.TokensFile, at.Login.Tokens, at.Login.TokenURL != "")
}

func (l *loader) loadTLS(path, certFile, keyFile string) {
	_, cert := l.read(path+".cert_file", certFile, mostOtherBytes, false)
	_, key := l.read(path+".key_file", keyFile, mostOtherBytes, true)
	if !cert || !key {
		return
	}
	if err := (&longwire.TLS{CertFile: certFile, KeyFile: keyFile}).Reload(); err != nil {
		for inner := err; inner != nil; inner = errors.Unwrap(inner) {
			err = inner
		}
		l.problemf(path+".cert_file", "%s and %s are no certificate with its key: %s", printable(certFile), printable(keyFile), strings.TrimPrefix(err.Error(), "tls: "))
	}
}

// loadSecret reads a file with one token.
func (l *loader) loadSecret(path, file string) string {
	data, ok := l.read(path, file, mostOtherBytes, true)
	if !ok {
		return ""
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		l.problemf(path, "%s is not one token alone; write it in one line, without spaces", printable(file))
	}
	return token
}

// loadTokens reads lines of a name and the hash of its token. Known are those that
// stand in the configuration; others says that there may be more elsewhere.
func (l *loader) loadTokens(path, file string, known map[string]Hash, others bool) map[string]Hash {
	data, ok := l.read(path, file, mostTokenBytes, true)
	if !ok {
		return nil
	}
	tokens := make(map[string]Hash)
	n, before := 0, len(l.problems)
	problemf := func(format string, args ...any) {
		l.problems = append(l.problems, &Problem{File: file, Line: n, Setting: path, Text: fmt.Sprintf(format, args...)})
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		n++
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		var hash Hash
		switch {
		case len(fields) != 2:
			problemf("has no id and hash in this line; write them as longwire token prints them")
		case !IsID(fields[0]):
			problemf("%.64q "+BadID, fields[0])
		case has(tokens, fields[0]):
			problemf("%s stands here a second time; leave one of them out", fields[0])
		case has(known, fields[0]):
			problemf("%s has a token in the configuration already; leave one of them out", fields[0])
		default:
			if err := hash.Set(fields[1]); err != nil {
				problemf("what follows %s %v", fields[0], err)
			}
			tokens[fields[0]] = hash
		}
	}
	if err := lines.Err(); err != nil {
		n++
		problemf("has a line that is too long")
	}
	if len(tokens)+len(known) == 0 && len(l.problems) == before && !others {
		l.problemf(path, "%s has no token in it, which may not mean that none is needed; write one, as longwire token prints it", printable(file))
	}
	return tokens
}

func has(m map[string]Hash, name string) bool {
	_, ok := m[name]
	return ok
}

// read returns what a file holds that a setting names, false when it names none or
// something is wrong. Secret files are not for everybody's eyes.
func (l *loader) read(path, file string, most int64, secret bool) ([]byte, bool) {
	if file == "" {
		return nil, false
	}
	data, err := readUpTo(file, most)
	if err != nil {
		name := file
		if absolute, err := filepath.Abs(file); err == nil {
			name = absolute
		}
		l.problemf(path, "cannot read %s: %v", printable(name), cause(err))
		return nil, false
	}
	l.contents[file] = sha256.Sum256(data)
	if info, err := os.Stat(file); err == nil && secret && runtime.GOOS != "windows" && info.Mode().Perm()&^0o740 != 0 {
		l.warnf(path, "others on this machine may read or change %s; chmod 640 keeps them out", printable(file))
	}
	return data, true
}

// readUpTo reads a regular file, or a pipe, of at most that many bytes.
func readUpTo(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it has more than %v", Size(most))
	}
	return data, err
}

// cause returns why the system has refused something, without what that was.
func cause(err error) error {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
