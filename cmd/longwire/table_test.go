package main

import (
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	got := string(table{
		{"ID", "PLACE", "IN"},
		{"meter-7", "東京 2", "10"},
		{"m", "Zu\u0308rich", "9"},
		{"x", "", ""},
	}.text())
	const want = "ID       PLACE   IN\n" +
		"meter-7  東京 2  10\n" +
		"m        Zu\u0308rich  9\n" +
		"x\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestExcerpt(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"1234567890", "1234567890"},
		{"12345678901", "1234567890…"},
		{"123456789ü", "123456789…"},
		{"東京東京", "東京東…"},
	} {
		if got := excerpt(test.text, 10); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

func TestAge(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		ago  time.Duration
		want string
	}{
		{-time.Hour, "0s"},
		{900 * time.Millisecond, "0s"},
		{59 * time.Second, "59s"},
		{61 * time.Second, "1m01s"},
		{59*time.Minute + 59*time.Second, "59m59s"},
		{3*time.Hour + 12*time.Minute, "3h12m"},
		{24 * time.Hour, "1d00h"},
		{400*24*time.Hour + 5*time.Hour, "400d05h"},
	} {
		if got := age(now.Add(-test.ago), now); got != test.want {
			t.Errorf("%v: %s, want %s", test.ago, got, test.want)
		}
	}
}

// A gateway writes clauses as sentences of its own.
func TestAsClause(t *testing.T) {
	for detail, want := range map[string]string{
		"The device is not connected.": "the device is not connected",
		"A token is needed.":           "a token is needed",
		"HTTP is off.":                 "HTTP is off",
		"a.yaml:1: x\nb.yaml:2: y\n":   "a.yaml:1: x; b.yaml:2: y",
		"\x1b[2JGone.":                 `"\x1b[2JGone"`,
		"":                             "",
	} {
		if got := asClause(detail); got != want {
			t.Errorf("%q: %s, want %s", detail, got, want)
		}
	}
}
