package main

import "testing"

func TestMemoryIsGivenBackAtRest(t *testing.T) {
	for _, test := range []struct {
		name      string
		allocated []uint64 // MiB within each second
		has       uint64   // MiB
		want      string   // y where memory is given back
	}{
		{"a start that rests", []uint64{9, 0, 0, 0, 0, 0}, 20, "-yyy--"},
		{"too little for it", []uint64{7, 0, 0, 0}, 20, "----"},
		{"less than a quarter of what there is", []uint64{0, 24, 0, 0, 0}, 100, "-----"},
		{"a quarter, little by little", []uint64{0, 5, 10, 0, 10, 0, 0, 0, 0}, 100, "-----yyy-"},
		{"busy all the time", []uint64{50, 50, 1, 1, 2}, 20, "-----"},
		{"busy again between the times", []uint64{9, 0, 2, 0, 0, 0}, 20, "-y-yy-"},
		{"as much again", []uint64{9, 0, 0, 9, 0, 0, 0, 0}, 20, "-yy-yyy-"},
	} {
		var m memoryUse
		var got []byte
		total := uint64(0)
		for _, n := range test.allocated {
			total += n << 20
			now := byte('-')
			if m.rests(total, test.has<<20) {
				now = 'y'
			}
			got = append(got, now)
		}
		if string(got) != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
