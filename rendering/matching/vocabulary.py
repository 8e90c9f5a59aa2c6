"""The words of the trade: which names mean the same thing on a design and in a template."""

from __future__ import annotations

SYNONYMS: dict[str, tuple[str, ...]] = {
    "background": ("background", "bg", "bgd", "bkg", "backdrop", "back ground", "backplate", "base plate"),
    "image": ("image", "img", "photo", "picture", "pic", "foto", "photograph", "visual"),
    "text": ("text", "txt", "placeholder", "type", "string", "label"),
    "cta": ("cta", "call to action", "button", "btn", "action"),
    "subtitle": (
        "subtitle", "sub title", "subhead", "sub head", "subheading", "sub heading", "subheadline", "sub headline",
        "subline", "sub line", "tagline", "tag line", "strapline", "secondary title", "subheader", "sub header",
    ),
    "title": ("title", "heading", "headline", "header", "head line", "ttl", "main title", "main text"),
    "logo": ("logo", "brand", "logotype", "brandmark", "emblem", "crest", "brand mark", "brand logo"),
    "name": ("name", "fullname", "full name", "nm"),
    "firstname": ("first name", "firstname", "given name", "forename"),
    "lastname": ("last name", "lastname", "surname", "family name"),
    "price": ("price", "cost", "amount", "pricing", "price tag"),
    "description": (
        "description", "desc", "descr", "body", "copy", "body copy", "body text", "bodycopy", "paragraph", "blurb",
        "details", "info", "information",
    ),
    "date": ("date", "day", "when", "calendar", "datum"),
    "time": ("time", "hour", "clock", "kickoff", "kick off", "start time"),
    "location": ("location", "place", "venue", "city", "address", "where", "stadium", "town"),
    "number": ("number", "num", "nr", "jersey", "squad number", "shirt number", "jersey number"),
    "score": ("score", "result", "points", "final score"),
    "team": ("team", "club", "squad", "side"),
    "player": ("player", "athlete"),
    "product": ("product", "item", "packshot", "pack shot", "goods"),
    "discount": ("discount", "sale", "offer", "promo", "percent off", "deal", "saving", "savings"),
    "url": ("url", "website", "web", "site", "link", "web site", "domain"),
    "phone": ("phone", "tel", "telephone", "mobile", "call"),
    "email": ("email", "e mail", "mail"),
    "role": ("role", "position", "job title", "jobtitle", "occupation", "function"),
    "quote": ("quote", "testimonial", "citation", "review"),
    "handle": ("handle", "username", "user name", "social", "social handle", "instagram", "twitter"),
    "hero": ("hero", "featured", "feature", "key visual", "main image", "main photo", "hero image", "kv"),
    "portrait": ("portrait", "headshot", "head shot", "cutout", "cut out", "avatar", "person", "face", "presenter"),
    "icon": ("icon", "pictogram", "symbol"),
    "overlay": ("overlay", "gradient", "texture", "vignette"),
    "category": ("category", "section", "topic", "genre"),
    "season": ("season", "edition"),
    "sponsor": ("sponsor", "partner"),
}  # fmt: skip

# A name made of these alone tells a text from a picture, which the kind already says.
WEAK = frozenset({"image", "text"})

# Names that say what a thing is for. Two names with different purposes do not belong together.
PURPOSES = tuple(sorted(set(SYNONYMS) - WEAK - {"player", "team", "hero", "overlay"}))

# Photoshop's and After Effects' own default names, and words that carry no meaning for a match.
_EMPTY = """
layer group rectangle ellipse polygon line curve curves vector smart object shape rounded fill solid null comp
composition artboard frame folder mask the a an of and or your my here this is dynamic replace me edit change
ae psd psb ai png jpg jpeg tif tiff gif webp svg mov mp mpeg render final
"""
EMPTY_WORDS = frozenset(_EMPTY.split())

_NUMBERS = "one two three four five six seven eight nine ten eleven twelve"
NUMBER_WORDS = {word: number for number, word in enumerate(_NUMBERS.split(), start=1)}

# Words that are no synonyms of anything but help to take names such as "hometeamscore" apart.
_PLAIN = """
full home away guest visitor old new left right top bottom main small big large event match game first last second
third special primary secondary sub front back inner outer card box panel bar strip color colour shadow glow light
dark green yellow red blue white black gold silver orange purple
"""
PLAIN_WORDS = frozenset(_PLAIN.split())
