package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"github.com/longwire/longwire"
)

// addressProblem says what is wrong with a TCP address, "" if nothing is.
func addressProblem(address string, mayBeAnyPort bool) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("%q is no address with a port; write it as in 127.0.0.1:10302", address)
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 && !mayBeAnyPort {
		return fmt.Sprintf("%q has no usable port; write it as in 127.0.0.1:10302", address)
	}
	return ""
}

func checkAddress(address string) error {
	if problem := addressProblem(address, false); problem != "" {
		return usagef("ADDR %s", problem)
	}
	return nil
}

// parseType reads TYPE, decimal or with 0x in front hexadecimal.
func parseType(text string) (longwire.Type, error) {
	digits, base := text, 10
	if len(text) > 2 && strings.EqualFold(text[:2], "0x") {
		digits, base = text[2:], 16
	}
	n, err := strconv.ParseUint(digits, base, 16)
	switch t := longwire.Type(n); {
	case err != nil:
		return 0, usagef("TYPE %q is no number from 0 to 65279; write it as 16 or 0x10", text)
	case t >= firstReserved:
		return 0, usagef("TYPE %q is one of longwire's own, which are 0xff00 to 0xffff; choose another", text)
	default:
		return t, nil
	}
}

// firstReserved is the first of the types that are longwire's own, up to the
// largest that a frame can have.
const firstReserved longwire.Type = 0xFF00

// readData reads DATA: text as it is, "-" for stdin, "@name" for a file, "@@…" for
// text that begins with one @. Of more than limit bytes it returns limit+1.
func readData(arg string, stdin io.Reader, limit int) ([]byte, error) {
	switch name, isFile := strings.CutPrefix(arg, "@"); {
	case arg == "-":
		data, err := readUpTo(stdin, limit)
		if err != nil {
			return nil, fmt.Errorf("cannot read DATA from stdin: %w", innermost(err))
		}
		return data, nil
	case !isFile:
		return []byte(arg), nil
	case strings.HasPrefix(name, "@"):
		return []byte(name), nil
	case name == "":
		return nil, usagef("DATA is @ without the name of a file; write @@ for a text that begins with @")
	default:
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("cannot read DATA from %s: %w", name, innermost(err))
		}
		defer f.Close()
		data, err := readUpTo(f, limit)
		if err != nil {
			return nil, fmt.Errorf("cannot read DATA from %s: %w", name, innermost(err))
		}
		return data, nil
	}
}

func readUpTo(r io.Reader, limit int) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, int64(limit)+1))
}

// decodeHex decodes hexadecimal digits with spaces anywhere between them.
func decodeHex(digits []byte) ([]byte, error) {
	digits = bytes.Join(bytes.FieldsFunc(digits, unicode.IsSpace), nil)
	data, err := hex.DecodeString(string(digits))
	if bad, ok := errors.AsType[hex.InvalidByteError](err); ok {
		return nil, usagef("DATA has %q among its hexadecimal digits", rune(bad))
	}
	if err != nil {
		return nil, usagef("DATA has an odd number of hexadecimal digits; each byte takes two")
	}
	return data, nil
}

// innermost returns the part of a system's error that says why, without what was
// being done, which the sentence around it tells in its own words.
func innermost(err error) error {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}
