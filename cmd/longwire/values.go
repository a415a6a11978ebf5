package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A size is a flag's number of bytes.
type size int

const (
	kib size = 1 << 10
	mib size = 1 << 20
	gib size = 1 << 30
)

var units = []struct {
	name  string
	bytes size
}{{"GiB", gib}, {"MiB", mib}, {"KiB", kib}}

func (s *size) Set(text string) error {
	digits, unit := text, size(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = n, u.bytes
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && n > uint64(math.MaxInt/unit):
		return fmt.Errorf("%q is too large", text)
	case err != nil:
		return fmt.Errorf("%q is no size; write a number of bytes, or one with KiB, MiB or GiB, as in 4MiB", text)
	}
	*s = size(n) * unit
	return nil
}

func (s *size) String() string {
	for _, u := range units {
		if *s != 0 && *s%u.bytes == 0 {
			return strconv.Itoa(int(*s/u.bytes)) + u.name
		}
	}
	return strconv.Itoa(int(*s))
}

func (s *size) Type() string { return "size" }

// A duration is a flag's time span, which is never negative.
type duration time.Duration

const day = 24 * time.Hour

func (d *duration) Set(text string) error {
	var span time.Duration
	var err error
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		if n, err = strconv.ParseUint(days, 10, 32); err == nil && n <= uint64(math.MaxInt64/day) {
			span = time.Duration(n) * day
		} else {
			err = errors.New("not a number of days")
		}
	} else {
		span, err = time.ParseDuration(text)
	}
	if err != nil || span < 0 {
		return fmt.Errorf("%q is no time span; write one like 500ms, 30s, 5m, 12h or 28d", text)
	}
	*d = duration(span)
	return nil
}

func (d *duration) String() string {
	span := time.Duration(*d)
	if span != 0 && span%day == 0 {
		return strconv.FormatInt(int64(span/day), 10) + "d"
	}
	s := span.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (d *duration) Type() string { return "duration" }

// A count is a flag's number of things, which is never negative.
type count int

func (c *count) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return fmt.Errorf("%q is not a number from 0 to %d", text, math.MaxInt32)
	}
	*c = count(n)
	return nil
}

func (c *count) String() string { return strconv.Itoa(int(*c)) }
func (c *count) Type() string   { return "number" }

// A word is a flag's choice of one of a few words.
type word struct {
	chosen  string
	choices []string
}

func (w *word) Set(text string) error {
	for _, c := range w.choices {
		if strings.EqualFold(c, text) {
			w.chosen = c
			return nil
		}
	}
	last := len(w.choices) - 1
	return fmt.Errorf("%q is neither %s nor %s", text, strings.Join(w.choices[:last], ", "), w.choices[last])
}

func (w *word) String() string { return w.chosen }
func (w *word) Type() string   { return "word" }

// completeWord lets the shell complete a flag's word.
func completeWord(cmd *cobra.Command, name string, w word) {
	if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(w.choices, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is not defined
	}
}

// valueProblem says why a flag does not take a value.
func valueProblem(f *pflag.Flag, value string, err error) string {
	if f.Value.Type() == "bool" {
		return fmt.Sprintf("%q is neither true nor false", value)
	}
	return err.Error()
}
