package distribute_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assay-dev/assay/e2e/nginx"
)

func startNginx(ts *testscript.TestScript, s *story, args []string) {
	var options nginx.Options
	for _, arg := range args {
		if token, ok := strings.CutPrefix(arg, "token="); ok {
			options.Token = token
		} else if arg == "certificates" {
			options.Certificates = true
		} else {
			ts.Fatalf("got %q, want token=TOKEN or certificates", arg)
		}
	}
	s.nginx = nginx.Start(s.t, options)
	for name, value := range map[string]string{
		"nginx": s.nginx.URL, "elsewhere": s.nginx.Elsewhere, "nginx_cert": s.nginx.Client, "nginx_key": s.nginx.ClientKey,
	} {
		s.set(ts, name, value)
	}
	s.believe(ts, s.nginx.Roots)
}

func publish(ts *testscript.TestScript, s *story, args []string) {
	s.nginx.Publish(args[1], []byte(ts.ReadFile(args[0])))
}

func fault(ts *testscript.TestScript, s *story, args []string) {
	switch args[0] {
	case "500", "flap", "stall", "redirect", "loop", "downgrade":
		s.nginx.Fail(nginx.Fault(args[0]))
	case "down":
		s.nginx.Down()
	case "none":
		s.nginx.Fail(nginx.None)
	default:
		ts.Fatalf("got %q, want 500, flap, stall, redirect, loop, downgrade, down or none", args[0])
	}
}

func asked(ts *testscript.TestScript, s *story, args []string) {
	more, err := strconv.Atoi(args[0])
	ts.Check(err)
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	want := s.nginx.Asked(pattern) + more
	until(ts, func() error {
		if got := s.nginx.Asked(pattern); got < want {
			return fmt.Errorf("nginx: got %d requests %s, want %d", got, pattern, want)
		}
		return nil
	})
}

func stalled(ts *testscript.TestScript, s *story, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	until(ts, func() error {
		got, err := s.nginx.Answering(s.t.Context())
		if err == nil && got < want {
			err = fmt.Errorf("nginx: got %d answers that it is sending, want %d at least", got, want)
		}
		return err
	})
}

func unasked(ts *testscript.TestScript, s *story, args []string) {
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	if got := s.nginx.Asked(pattern); got > 0 {
		ts.Fatalf("nginx: got %d requests %s, want none", got, pattern)
	}
}

// lines are the entries that it was sent: of a list, one JSON object in each line.
func lines(ts *testscript.TestScript, s *story, path string) []byte {
	var out bytes.Buffer
	for _, body := range s.nginx.Kept(path) {
		text, err := unpacked(body)
		if err != nil || !json.Valid(text) {
			continue // nginx is still writing it
		}
		entries := []json.RawMessage{text}
		if bytes.HasPrefix(text, []byte("[")) {
			ts.Check(json.Unmarshal(text, &entries))
		}
		for _, entry := range entries {
			ts.Check(json.Compact(&out, entry))
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// unpacked is a text, whether it was packed or not.
func unpacked(text []byte) ([]byte, error) {
	if !bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
		return text, nil
	}
	compressed, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(compressed)
}

func kept(ts *testscript.TestScript, s *story, args []string) {
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	until(ts, func() error {
		if got := lines(ts, s, args[0]); !pattern.Match(got) {
			return fmt.Errorf("nginx: got no %s in %d lines sent to /%s", pattern, bytes.Count(got, []byte("\n")), args[0])
		}
		return nil
	})
}

func keep(ts *testscript.TestScript, s *story, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), lines(ts, s, args[0]), 0o600))
}
