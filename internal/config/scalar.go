package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/longwire/longwire"
)

// Auto is a [Size] or a [Count] that is found out when the program runs.
const Auto = -1

// A Size is a number of bytes. It is a flag's value, too.
type Size int

const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

var units = []struct {
	name  string
	bytes Size
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}}

// Set reads a number of bytes, or one with KiB, MiB or GiB.
func (s *Size) Set(text string) error {
	digits, unit := text, Size(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = n, u.bytes
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && n > uint64(math.MaxInt/unit):
		return fmt.Errorf("%.64q is too large", text)
	case err != nil:
		return fmt.Errorf("%.64q is no size; write a number of bytes, or one with KiB, MiB or GiB, as in 4MiB", text)
	}
	*s = Size(n) * unit
	return nil
}

func (s Size) String() string {
	if s == Auto {
		return "auto"
	}
	for _, u := range units {
		if s != 0 && s%u.bytes == 0 {
			return strconv.Itoa(int(s/u.bytes)) + u.name
		}
	}
	return strconv.Itoa(int(s))
}

// Type is what the help calls a flag's value.
func (Size) Type() string { return "size" }

// A Duration is a time span, which is never negative. It is a flag's value, too.
type Duration time.Duration

// Day is 24 hours.
const Day = 24 * time.Hour

// Set reads a time span of package time, or a number of days.
func (d *Duration) Set(text string) error {
	var span time.Duration
	var err error
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		if n, err = strconv.ParseUint(days, 10, 32); err == nil && n <= uint64(math.MaxInt64/Day) {
			span = time.Duration(n) * Day
		} else {
			err = errors.New("not a number of days")
		}
	} else {
		span, err = time.ParseDuration(text)
	}
	if err != nil || span < 0 {
		return fmt.Errorf("%.64q is no time span; write one like 500ms, 30s, 5m, 12h or 28d", text)
	}
	*d = Duration(span)
	return nil
}

func (d Duration) String() string {
	span := time.Duration(d)
	if span != 0 && span%Day == 0 {
		return strconv.FormatInt(int64(span/Day), 10) + "d"
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

// Type is what the help calls a flag's value.
func (Duration) Type() string { return "duration" }

// A Count is a number of things, which is never negative. It is a flag's value, too.
type Count int

// Set reads decimal digits.
func (c *Count) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return fmt.Errorf("%.64q is not a number from 0 to %d", text, math.MaxInt32)
	}
	*c = Count(n)
	return nil
}

func (c Count) String() string {
	if c == Auto {
		return "auto"
	}
	return strconv.Itoa(int(c))
}

// Type is what the help calls a flag's value.
func (Count) Type() string { return "number" }

// firstReserved and lastReserved are longwire's own types of messages.
const firstReserved, lastReserved longwire.Type = 0xFF00, 0xFFFF

// noType is that of a section that does not say it.
const noType = ^longwire.Type(0)

// parseType reads the number of a type of messages.
func parseType(text string) (longwire.Type, error) {
	digits, base := text, 10
	if len(text) > 2 && strings.EqualFold(text[:2], "0x") {
		digits, base = text[2:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	t := longwire.Type(n)
	switch {
	case err != nil || t == noType || base == 10 && len(text) > 1 && text[0] == '0': // which is octal elsewhere
		return 0, fmt.Errorf("%.64q is no number of a type; write it as 16 or 0x10", text)
	case firstReserved <= t && t <= lastReserved:
		return 0, fmt.Errorf("%v is one of longwire's own types, which are 0xff00 to 0xffff; choose another", t)
	}
	return t, nil
}
