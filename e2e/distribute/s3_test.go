package distribute_test

import (
	"bytes"
	"fmt"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assay-dev/assay/e2e/s3"
)

func startS3(ts *testscript.TestScript, s *story, args []string) {
	s.s3, s.bucket = s3.Start(s.t), args[0]
	ts.Check(s.s3.Bucket(s.t.Context(), s.bucket))
	for name, value := range map[string]string{
		"s3": s.s3.URL + "/" + s.bucket, "store": fmt.Sprintf("s3://%s?endpoint=%s&region=%s", s.bucket, s.s3.URL, s.s3.Region),
		"AWS_ACCESS_KEY_ID": s.s3.AccessKey, "AWS_SECRET_ACCESS_KEY": s.s3.SecretKey, "AWS_REGION": s.s3.Region,
	} {
		s.set(ts, name, value)
	}
	s.believe(ts, s.s3.Roots)
}

func put(ts *testscript.TestScript, s *story, args []string) {
	ts.Check(s.s3.Put(s.t.Context(), s.bucket+"/"+args[1], []byte(ts.ReadFile(args[0]))))
}

// objects shows all that a reader of the bucket sees, as it is stored and unpacked.
func objects(ts *testscript.TestScript, s *story, args []string) {
	keys, err := s.s3.List(s.t.Context(), s.bucket)
	ts.Check(err)
	var out bytes.Buffer
	for _, key := range keys {
		content, err := s.s3.Get(s.t.Context(), s.bucket+"/"+key)
		ts.Check(err)
		text, err := unpacked(content)
		ts.Check(err)
		fmt.Fprintf(&out, "%s\n%s\n%s\n", key, content, text)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o600))
}
