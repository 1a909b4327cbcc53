package diff

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/assay-dev/assay/cmd/assay/plain"
)

// Result is what became of all workloads.
type Result struct {
	Workloads int      `json:"workloads"`
	Changes   []Change `json:"changes"`
}

func (r Result) headline() string {
	if len(r.Changes) == 0 {
		return fmt.Sprintf("none of %d workloads changes", r.Workloads)
	}
	return fmt.Sprintf("%d of %d workloads change", len(r.Changes), r.Workloads)
}

// print writes the result in a form, text, json or markdown. Whatever a policy, an
// object or a registry said stays text: no escape of a terminal, no Markdown.
func (r Result) print(w io.Writer, form string) error {
	switch form {
	case "json":
		if r.Changes == nil {
			r.Changes = []Change{}
		}
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(r)
	case "markdown":
		_, err := io.WriteString(w, r.markdown())
		return err
	}
	var out strings.Builder
	for _, change := range r.Changes {
		fmt.Fprintf(&out, "%s: %s\n", plain.Below(change.Workload), change.verdicts())
		for _, line := range change.lines() {
			out.WriteString("  " + strings.ReplaceAll(line, "\n", "\n  ") + "\n")
		}
	}
	fmt.Fprintln(&out, r.headline())
	_, err := io.WriteString(w, out.String())
	return err
}

func (c Change) verdicts() string {
	switch {
	case c.Old.Verdict == c.New.Verdict && !c.New.decided():
		return c.New.Verdict + " before and after"
	case c.Old.Verdict == c.New.Verdict:
		return c.New.Verdict + " as before, with another answer"
	}
	return c.Old.Verdict + " becomes " + c.New.Verdict
}

// lines are what only one of the sets says, with a sign before it as a diff has it.
func (c Change) lines() []string {
	var out []string
	add := func(sign, what string, texts []string) {
		for _, text := range texts {
			out = append(out, sign+" "+what+plain.Below(text))
		}
	}
	add("-", "", without(c.Old.Reasons, c.New.Reasons))
	add("-", "warning: ", without(c.Old.Warnings, c.New.Warnings))
	add("-", "not recorded: ", without(c.Old.NotRecorded, c.New.NotRecorded))
	add("+", "", without(c.New.Reasons, c.Old.Reasons))
	add("+", "warning: ", without(c.New.Warnings, c.Old.Warnings))
	add("+", "not recorded: ", without(c.New.NotRecorded, c.Old.NotRecorded))
	add("-", "no answer: ", c.Old.Unanswered)
	add("+", "no answer: ", c.New.Unanswered)
	if c.Old.Error != "" {
		out = append(out, "- no decision: "+plain.Below(c.Old.Error))
	}
	if c.New.Error != "" {
		out = append(out, "+ no decision: "+plain.Below(c.New.Error))
	}
	if string(c.Old.patch) != string(c.New.patch) {
		out = append(out, "- patch "+plain.Text(string(c.Old.patch)), "+ patch "+plain.Text(string(c.New.patch)))
	}
	return out
}

// mostMarkdown bounds the details: a comment of a pull request has room for 65,536
// characters. A name, which Kubernetes bounds by 253 and an author of a file by nothing,
// takes no more than the rest of that.
const (
	mostMarkdown = 50_000
	mostName     = 400
)

// markdown is a summary, then the details. Foreign text stands in code alone, where
// nothing of it is Markdown, HTML or a mention of anybody.
func (r Result) markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "### assay diff: %s\n", r.headline())
	if len(r.Changes) == 0 {
		return out.String()
	}
	out.WriteString("\n| workload | old | new |\n|---|---|---|\n")
	for i, change := range r.Changes {
		if out.Len() > mostMarkdown/2 {
			fmt.Fprintf(&out, "\n%d more change.\n", len(r.Changes)-i)
			break
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", span(short(change.Workload)), change.Old.Verdict, change.New.Verdict)
	}
	for i, change := range r.Changes {
		fence := fenced(strings.Join(change.lines(), "\n"))
		if out.Len()+len(fence) > mostMarkdown {
			fmt.Fprintf(&out, "\nThe details of %d more are left out.\n", len(r.Changes)-i)
			break
		}
		fmt.Fprintf(&out, "\n%s: %s\n\n%s", span(short(change.Workload)), change.verdicts(), fence)
	}
	return out.String()
}

// short is a name that is not too long for a row.
func short(name string) string {
	if runes := []rune(name); len(runes) > mostName {
		return string(runes[:mostName]) + "…"
	}
	return name
}

// span is text as inline code, also in a table: between more backquotes than it has in
// a row, on one line, and with its pipes escaped (GFM, section 4.10).
func span(text string) string {
	text = strings.ReplaceAll(strings.Join(strings.Fields(plain.Text(text)), " "), "|", `\|`)
	marks := strings.Repeat("`", longestRun(text)+1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") || text == "" {
		text = " " + text + " "
	}
	return marks + text + marks
}

// fenced is text as a block of code.
func fenced(text string) string {
	marks := strings.Repeat("`", max(3, longestRun(text)+1))
	return marks + "diff\n" + text + "\n" + marks + "\n"
}

func longestRun(text string) (most int) {
	run := 0
	for _, c := range text {
		if c != '`' {
			run = 0
			continue
		}
		run++
		most = max(most, run)
	}
	return most
}
