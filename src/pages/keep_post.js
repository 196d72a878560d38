(function () {
  var form = document.getElementById("kept");
  var fields = [];
  for (var i = 0; i < form.elements.length; i++) {
    fields.push([form.elements[i].name, form.elements[i].value]);
  }
  try {
    sessionStorage.setItem(
      "portcullis.post." + form.dataset.key,
      JSON.stringify({ action: form.getAttribute("action"), fields: fields, until: Date.now() + 900000 })
    );
  } catch (full) {
    return;
  }
  location.replace(form.dataset.next);
})();
