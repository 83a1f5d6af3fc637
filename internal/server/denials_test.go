package server

import (
	"regexp"
	"testing"
)

// TestPagesDoNotDenyRoutes checks that no page says that a resource of the server is not
// served or cannot be stored.
func TestPagesDoNotDenyRoutes(t *testing.T) {
	denial := regexp.MustCompile(`(?i)(remote matchers?|cross match(ing|es)?|events?|attributes?|plugins?|faces?|lists?)[^.]*\b(not (served|part of it)|(cannot|can not) be stored)( yet)?\b`)
	for _, name := range []string{"openapi.yaml", "openapi.json", "ui/docs.html", "ui/errors.html"} {
		text, err := embedded.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range denial.FindAll(text, -1) {
			t.Errorf("%s: %s", name, found)
		}
	}
}
