package config_test

import (
	"testing"
	"time"

	"github.com/longwire/longwire/internal/config"
)

func TestSize(t *testing.T) {
	for _, test := range []struct {
		text string
		want config.Size
		back string
	}{
		{"0", 0, "0"},
		{"1000", 1000, "1000"},
		{"1024", config.KiB, "1KiB"},
		{"1536KiB", 1536 * config.KiB, "1536KiB"},
		{"100MiB", 100 * config.MiB, "100MiB"},
		{"1024MiB", config.GiB, "1GiB"},
	} {
		var s config.Size
		if err := s.Set(test.text); err != nil || s != test.want || s.String() != test.back {
			t.Errorf("%q: %d, %q, %v", test.text, s, s.String(), err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5MiB", "1MB", "1 KiB", "0x10", "1e3", "9223372036854775808", "8589934592GiB"} {
		s := config.Size(7)
		if err := s.Set(text); err == nil || s != 7 {
			t.Errorf("%q: %d, %v", text, s, err)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Duration
		back string
	}{
		{"0", 0, "0s"},
		{"0s", 0, "0s"},
		{"1m", time.Minute, "1m"},
		{"90s", 90 * time.Second, "1m30s"},
		{"10m", 10 * time.Minute, "10m"},
		{"12h", 12 * time.Hour, "12h"},
		{"24h", config.Day, "1d"},
		{"28d", 28 * config.Day, "28d"},
		{"500ms", 500 * time.Millisecond, "500ms"},
	} {
		var d config.Duration
		if err := d.Set(test.text); err != nil || time.Duration(d) != test.want || d.String() != test.back {
			t.Errorf("%q: %v, %q, %v", test.text, time.Duration(d), d.String(), err)
		}
	}
	for _, text := range []string{"", "d", "1", "-1s", "-1d", "1.5d", "1w", "106752d", "99999999999d"} {
		d := config.Duration(7)
		if err := d.Set(text); err == nil || d != 7 {
			t.Errorf("%q: %v, %v", text, time.Duration(d), err)
		}
	}
}
