"""Sentences that the API says, in the viewer's language: its answers are English for every client, a page is not.

A sentence is known by its words; what stands at its places (`{}`) stays as it is, or is a sentence of its own. One that
is not known stays English: most are about files, commands and the log, which are English too.
"""

import functools
import re

from appliance.http.ui.texts import translations

_LONGEST = 1000  # characters of a sentence that is looked for
_WHY = "; why: "  # a refusal ends with the address of its page


def text(sentence: str) -> str:
    """Mark a sentence to be translated."""
    return sentence


SENTENCES = (
    # headings and answers of whole pages
    text("Sign in first"),
    text("Not allowed"),
    text("Not found"),
    text("Not possible now"),
    text("Changed meanwhile"),
    text("Not possible"),
    text("scr failed on this page"),
    text("Try it again."),
    text("There is no such page."),
    # fields of forms
    text("one of {}"),
    text("a whole number from {} to {}"),
    text("the form was not sent from a page of yours, or the page is too old; load it again"),
    text("{} is not a registry name; use 3 to 25 of a-z and 0-9, a letter first"),
    text("{} is not a repository name; use lower-case letters, digits, '.', '_' and '-'"),
    text("{} is not a tag; use 1 to 128 letters, digits, '_', '.' or '-'"),
    text("there is a registry {} already (id {}); choose another name"),
    text("{}; choose another one"),
    text("registry {} has port {}"),
    text("another registry has port {}"),
    text("a port is a number from 1 to {}"),
    text("there is a {} {} already, with the id {}; edit it"),
    text("{} has a key {} already, {}; rotate or delete it"),
    text("the expiry is in the past; choose a later time, or disable the key"),
    # what is refused
    text("{} may not do this: {} on {}; ask the administrator for a policy with {}"),
    text("tag {} cannot be moved: {} is locked; unlock it, or push another tag"),
    text("tag {} cannot be deleted: {} is locked; unlock it first"),
    text("the manifest cannot be deleted: {}; unlock it first"),
    text("the image cannot be deleted: {} is locked; unlock it first"),
    text("the repository cannot be deleted: {} is locked; unlock it first"),
    text("the registry cannot be deleted: {} is locked; unlock it first"),
    text("{} is locked: its images and tags cannot be locked or unlocked one by one until it is not"),
    text("tag {} is locked, and its index lists this manifest"),
    text("tag {} is locked"),
    text("registry {} holds repositories; delete them first, or force it to delete all of them"),
    text("image {} cannot come back: there is a new one of that name; delete it first"),
    text("repository {} cannot come back: there is a new one of that name; delete it first"),
    text("image {} cannot come back: its repository was deleted too; undo that first"),
    # why a pull is refused
    text("it was never scanned"),
    text("its scan has not run yet"),
    text("its scan failed"),
    text("its scan could not read or judge all of it"),
    text("it was scanned without vulnerability data"),
    text("{}, and the image's pull limit refuses what is not scanned; scan it, or turn this limit off"),
    text(
        "it has {} {} vulnerabilities, and the image's pull limit refuses at {} or more: {} and {} more;"
        " push a mended image, accept the findings, or raise the limit"
    ),
    text(
        "it has {} {} vulnerabilities, and the image's pull limit refuses at {} or more: {};"
        " push a mended image, accept the findings, or raise the limit"
    ),
    text(
        "it has {} {} vulnerability, and the image's pull limit refuses at {} or more: {};"
        " push a mended image, accept the findings, or raise the limit"
    ),
    text("all its platforms are refused, the last because {}"),
    # the deletion policy test
    text("it has no tag and was pushed {} days ago, {} are the most"),
    text("it was pushed {} days ago, {} are the most"),
    text("it is number {} by push, and the newest {} are kept"),
    text("it refers to {}, which goes"),
    text("index {} lists it and goes"),
    text("locked"),
    text("pattern"),
    text("pulled"),
    text("listed by a kept index"),
    text("refers to a kept manifest"),
    text("no rule"),
    text("manifest deleted"),
    # what did not come back
    text("{} is not there any more"),
    text("it names another manifest by now"),
    text("their recycle time is over, and their bytes are gone"),
    # the decisions of Explain
    text("it came to the {} endpoint of registry {}"),
    text("the listener is that of registry {}"),
    text("{} means the default registry, {}"),
    text("registry {} has the endpoint type {}: it is not served at the public one"),
    text("registry {} has the endpoint type {}"),
    text("access control of the {} endpoint is off"),
    text("nobody can sign in yet, so that this machine is served and no other"),
    text("the administrator of the appliance may do {}"),
    text("no policy allows {}"),
    text("nothing is judged: {}"),
    text("sign in first: docker login with an access key of this registry"),
    # what needs attention
    text("they are {} days old: scr vulndb fetch, or scr vulndb import"),
)


def say(language: str, sentence: str) -> str:
    """Return `sentence` of the API in `language`; itself where it is not known."""
    said, why, address = sentence.partition(_WHY)
    if not said or len(said) > _LONGEST:
        return sentence
    catalogue = translations(language)
    for known, words in _patterns():
        if found := words.fullmatch(said):
            told = catalogue.gettext(known)
            if told == known:
                break
            values = (say(language, one) if " " in one else one for one in found.groups())  # names have no space
            return told.format(*values) + (f" ({address})" if why else "")
    return sentence


@functools.cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((one, re.compile("(.+?)".join(map(re.escape, one.split("{}"))), re.DOTALL)) for one in SENTENCES)
