package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// moment stands in a file for a time before now: {{1h}}.
var moment = regexp.MustCompile(`\{\{([0-9a-z]+)\}\}`)

// ageFiles writes times in the place of moments. A file is as old as the newest of them.
func ageFiles(ts *testscript.TestScript, files []string) {
	now := time.Now().UTC()
	for _, file := range files {
		newest := time.Time{}
		text := moment.ReplaceAllStringFunc(ts.ReadFile(file), func(found string) string {
			age, err := time.ParseDuration(moment.FindStringSubmatch(found)[1])
			ts.Check(err)
			if at := now.Add(-age); at.After(newest) {
				newest = at
			}
			return now.Add(-age).Format(time.RFC3339Nano)
		})
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
		ts.Check(os.Chtimes(ts.MkAbs(file), newest, newest))
	}
}

// packChunk makes a chunk of decision logs of a file, as if it was closed so long ago.
func packChunk(ts *testscript.TestScript, args []string) {
	if len(args) != 3 {
		ts.Fatalf("got %d arguments, want FILE DIRECTORY AGE", len(args))
	}
	age, err := time.ParseDuration(args[2])
	ts.Check(err)
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err = w.Write([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(w.Close())
	name := filepath.Join(ts.MkAbs(args[1]), "decisions", time.Now().Add(-age).UTC().Format("2006/01/02/T150405Z")+"-000000001.json.gz")
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o700))
	ts.Check(os.WriteFile(name, out.Bytes(), 0o600))
}
